// Package stories: the official OpenAI SDK for Go against weir before its simulated provider. The same file runs in two
// modules, with a version before and one after the SDK learned to read server-sent events by the book.
package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

const (
	model    = "deepseek-chat"
	startMax = 60 * time.Second // a sanitized binary on a busy machine
	waitMax  = 30 * time.Second // for something that a test expects to happen
)

var simulator, weir string // origins

func TestMain(m *testing.M) {
	os.Exit(runAll(m))
}

func runAll(m *testing.M) (status int) {
	simulatorAddress, weirAddress, operatorAddress := freeAddress(), freeAddress(), freeAddress()
	simulator, weir = "http://"+simulatorAddress, "http://"+weirAddress
	stopSimulator := start("/__stats", simulator, "simulate", "--listen", simulatorAddress, "--tokens-per-second", "0")
	defer func() { status |= stopSimulator() }()
	stopWeir := start("/healthz", weir, "serve", "--listen", weirAddress, "--operator-listen", operatorAddress,
		"--upstream", simulator)
	defer func() { status |= stopWeir() }()
	return m.Run()
}

func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start runs `weir VERB...` and waits until it answers; the function it returns ends it and says whether that went well.
func start(probe, origin string, arguments ...string) func() int {
	var log bytes.Buffer
	command := exec.Command(os.Getenv("WEIR_BIN"), arguments...)
	command.Stdout, command.Stderr = &log, &log
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "WEIR_") && !strings.HasPrefix(variable, "OPENAI_") {
			command.Env = append(command.Env, variable)
		}
	}
	if err := command.Start(); err != nil {
		panic(err)
	}
	for end := time.Now().Add(startMax); ; time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get(origin + probe); err == nil {
			answer.Body.Close()
			break
		}
		if time.Now().After(end) {
			_ = command.Process.Kill()
			_ = command.Wait()
			panic(fmt.Sprintf("%v does not answer:\n%s", arguments, log.String()))
		}
	}
	return func() int {
		_ = command.Process.Signal(syscall.SIGTERM)
		killer := time.AfterFunc(startMax, func() { _ = command.Process.Kill() })
		defer killer.Stop()
		if err := command.Wait(); err != nil {
			fmt.Printf("--- FAIL: weir %v ended with %v:\n%s\n", arguments, err, log.String())
			return 1
		}
		return 0
	}
}

func client(extra ...option.RequestOption) openai.Client {
	options := []option.RequestOption{option.WithBaseURL(weir + "/v1"), option.WithAPIKey("sk-story")}
	return openai.NewClient(append(options, extra...)...)
}

func hello() openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello, 世界")},
	}
}

// disconnects tells how often a client left before its answer was complete.
func disconnects(t *testing.T) int {
	t.Helper()
	answer, err := http.Get(simulator + "/__stats")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var stats struct {
		ClientDisconnects int `json:"client_disconnects"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	return stats.ClientDisconnects
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
