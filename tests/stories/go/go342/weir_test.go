// Package stories: the official OpenAI SDK for Go against weir before its simulated provider. The same files run in two
// modules, with a version before and one after the SDK learned to read server-sent events by the book.
package stories

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

const model = "deepseek-chat"

func client(extra ...option.RequestOption) openai.Client {
	options := []option.RequestOption{option.WithBaseURL(weir + "/v1"), option.WithAPIKey("sk-story")}
	return openai.NewClient(append(options, extra...)...)
}

func ask(model, prompt string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)},
	}
}

func hello() openai.ChatCompletionNewParams {
	return ask(model, "Hello, 世界")
}

// gather reads a stream to its end.
func gather(t *testing.T, extra ...option.RequestOption) openai.ChatCompletionAccumulator {
	t.Helper()
	sdk := client(extra...)
	stream := sdk.Chat.Completions.NewStreaming(context.Background(), hello())
	defer stream.Close()
	var whole openai.ChatCompletionAccumulator
	for stream.Next() {
		whole.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestChatWholeAndStreamedSaysTheSame(t *testing.T) {
	length := option.WithHeader("x-sim-output-tokens", "20")
	sdk := client(length)
	answer, err := sdk.Chat.Completions.New(context.Background(), hello())
	if err != nil {
		t.Fatal(err)
	}
	if answer.Usage.CompletionTokens != 20 || answer.Choices[0].Message.Content == "" {
		t.Fatalf("unexpected answer: %s", answer.RawJSON())
	}
	streamed := gather(t, length).Choices[0]
	if streamed.Message.Content != answer.Choices[0].Message.Content || streamed.FinishReason != "stop" {
		t.Fatalf("streamed %q, whole %q", streamed.Message.Content, answer.Choices[0].Message.Content)
	}
}

// Before 3.43 this SDK fails on a comment that ends in a blank line, on a blank line before the first event and on an
// event without data: whatever the provider sends while it thinks must not arrive in these forms.
func TestKeepAlivesOfTheProviderDisturbNobody(t *testing.T) {
	for _, delay := range []string{"0", "300ms"} {
		whole := gather(t, option.WithHeader("x-sim-ttft", delay), option.WithHeader("x-sim-keepalive-every", "20ms"))
		if whole.Choices[0].Message.Content == "" {
			t.Fatal("an empty answer")
		}
	}
	sdk := client(option.WithHeader("x-sim-ttft", "300ms"), option.WithHeader("x-sim-keepalive-every", "20ms"))
	answer, err := sdk.Chat.Completions.New(context.Background(), hello())
	if err != nil || answer.Choices[0].Message.Content == "" {
		t.Fatalf("no answer: %v", err)
	}
}

func TestErrorOfTheProviderKeepsItsStatus(t *testing.T) {
	sdk := client(option.WithHeader("x-sim-status", "429"), option.WithHeader("x-weir-max-wait", "0"),
		option.WithMaxRetries(0))
	_, err := sdk.Chat.Completions.New(context.Background(), hello())
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("unexpected error: %v", err)
	}
	if refused.Response.Header.Get("x-weir-error") != "" {
		t.Fatal("the provider's error came as one of weir's")
	}
}

// Whole or streamed, 401 and 404 are errors of the SDK's own type that say what weir said.
func TestRefusalsAreTheSdksOwnErrors(t *testing.T) {
	team, key := startTeam(t)
	cases := []struct {
		name, key, model, code string
		status                 int
	}{
		{"unknown key", "sk-nobody", model, "invalid_api_key", http.StatusUnauthorized},
		{"unknown model", key, "gone", "model_not_found", http.StatusNotFound},
	}
	for _, each := range cases {
		sdk := client(option.WithBaseURL(team+"/v1"), option.WithAPIKey(each.key))
		_, whole := sdk.Chat.Completions.New(context.Background(), ask(each.model, "Hello"))
		stream := sdk.Chat.Completions.NewStreaming(context.Background(), ask(each.model, "Hello"))
		for stream.Next() {
			t.Errorf("%s: a chunk", each.name)
		}
		stream.Close()
		for form, err := range map[string]error{"whole": whole, "streamed": stream.Err()} {
			var refused *openai.Error
			if !errors.As(err, &refused) || refused.StatusCode != each.status || refused.Code != each.code ||
				refused.Message == "" {
				t.Errorf("%s, %s: unexpected error: %v", each.name, form, err)
			}
		}
	}
}

func TestCallsShareOneConnection(t *testing.T) {
	team, key := startTeam(t)
	relay, connections := relayTo(t, team)
	sdk := client(option.WithBaseURL(relay+"/v1"), option.WithAPIKey(key))
	for range 3 {
		if _, err := sdk.Chat.Completions.New(context.Background(), hello()); err != nil {
			t.Fatal(err)
		}
		if _, err := sdk.Chat.Completions.New(context.Background(), ask("gone", "Hello")); err == nil {
			t.Fatal("an answer of a model that is not there")
		}
		stream := sdk.Chat.Completions.NewStreaming(context.Background(), hello())
		for stream.Next() {
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		stream.Close()
	}
	if connections.Load() != 1 {
		t.Fatalf("%d connections for 9 calls", connections.Load())
	}
}

func TestMegabyteThereAndBack(t *testing.T) {
	prompt := strings.Repeat("wässer under the bridge ", 1024*1024/25+1)
	sdk := client()
	answer, err := sdk.Chat.Completions.New(context.Background(), ask(model, "echo: "+prompt))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Choices[0].Message.Content != prompt {
		t.Fatalf("%d bytes there, %d back", len(prompt), len(answer.Choices[0].Message.Content))
	}
}

func TestUnknownPathIsNotFound(t *testing.T) {
	sdk := client()
	err := sdk.Get(context.Background(), "no/such/path", nil, nil)
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusNotFound {
		t.Fatalf("unexpected error: %v", err)
	}
}

func TestEmbeddings(t *testing.T) {
	sdk := client()
	answer, err := sdk.Embeddings.New(context.Background(), openai.EmbeddingNewParams{
		Model: "text-embedding-3-small",
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two"}},
	})
	if err != nil || len(answer.Data) != 2 || len(answer.Data[0].Embedding) == 0 {
		t.Fatalf("unexpected answer: %v", err)
	}
}

func TestClientThatLeavesEndsTheProvidersWork(t *testing.T) {
	before := disconnects(t)
	sdk := client(option.WithHeader("x-sim-output-tokens", "6000"), option.WithHeader("x-sim-tokens-per-second", "10"))
	ctx, leave := context.WithCancel(context.Background())
	stream := sdk.Chat.Completions.NewStreaming(ctx, hello())
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	leave()
	stream.Close()
	for end := time.Now().Add(waitMax); disconnects(t) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the provider never saw its client leave")
		}
	}
}
