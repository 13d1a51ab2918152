package stories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
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

// cleanEnvironment is this one without what would change how weir behaves.
func cleanEnvironment() (clean []string) {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "WEIR_") && !strings.HasPrefix(variable, "OPENAI_") {
			clean = append(clean, variable)
		}
	}
	return clean
}

// start runs `weir VERB...` and waits until it answers; the function it returns ends it and says whether that went well.
func start(probe, origin string, arguments ...string) func() int {
	var log bytes.Buffer
	command := exec.Command(os.Getenv("WEIR_BIN"), arguments...)
	command.Stdout, command.Stderr, command.Env = &log, &log, cleanEnvironment()
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

// startTeam starts a weir with the key that `weir new-key` prints, which may use what is called like a model of DeepSeek.
func startTeam(t *testing.T) (origin, key string) {
	t.Helper()
	command := exec.Command(os.Getenv("WEIR_BIN"), "new-key")
	command.Env = cleanEnvironment()
	printed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	key, toPaste, _ := strings.Cut(string(printed), "\n")
	path := filepath.Join(t.TempDir(), "weir.yaml")
	settings := "clients: {mode: keys}\n" +
		"upstreams: [{name: simulated, provider: generic, base_url: \"" + simulator + "/v1\", api_key: sk-provider}]\n" +
		"models: [{name: \"deepseek-*\", upstreams: [simulated]}]\n" + toPaste
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress()
	stop := start("/healthz", "http://"+address, "serve", "--config", path, "--listen", address, "--operator-listen",
		freeAddress())
	t.Cleanup(func() {
		if stop() != 0 {
			t.Error("weir did not end in order")
		}
	})
	return "http://" + address, key
}

// relayTo starts a TCP relay that counts the connections it accepted: what the SDK really opens.
func relayTo(t *testing.T, target string) (origin string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connections = new(atomic.Int32)
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed: the test is over
			}
			connections.Add(1)
			far, err := net.Dial("tcp", strings.TrimPrefix(target, "http://"))
			if err != nil {
				near.Close()
				continue
			}
			pump := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
			}
			go pump(far, near)
			go pump(near, far)
		}
	}()
	return "http://" + listener.Addr().String(), connections
}
