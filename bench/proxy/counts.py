"""Where weir's part of a request or an event goes, in figures that repeat on a busy machine.

    python3 bench/proxy/counts.py instructions plain|stream [BODY_BYTES]    callgrind: per request or event, by function
    python3 bench/proxy/counts.py calls        plain|stream [BODY_BYTES]    strace: system calls, beside nginx's

Two seconds of load warm up, then so many are counted as fit into some seconds under the tool.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from peers import BUILD, WEIR, Program, free_port, start_nginx, start_origin, start_weir, weir_config

CONNECTIONS = {"plain": 64, "stream": 100}
# Under callgrind few, or their opening and what is under way at the end, which is not counted, would weigh.
CONNECTIONS_COUNTED = {"plain": 8, "stream": 100}


def run_load(program: Program, kind: str, seconds: float, size: int, connections: dict = CONNECTIONS) -> int:
    """How many requests or events there were."""
    done = subprocess.run([str(BUILD / "proxy_load"), str(program.port), kind, str(connections[kind]), str(seconds), str(size)],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["events" if kind == "stream" else "answers"]


def count_instructions(origin: Program, folder: pathlib.Path, kind: str, size: int):
    port, config, output = free_port(), folder / "weir.yaml", folder / "callgrind"
    config.write_text(json.dumps(weir_config(f"http://127.0.0.1:{origin.port}/v1")))
    weir = Program(["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}", WEIR, "serve",
                    "--config", str(config), "--listen", f"127.0.0.1:{port}", "--operator-listen",
                    f"127.0.0.1:{free_port()}", "--workers", "1"], port)
    run_load(weir, kind, 2, size, CONNECTIONS_COUNTED)
    subprocess.run(["callgrind_control", "-i", "on", str(weir.pid)], check=True, capture_output=True)
    count = run_load(weir, kind, 6, size, CONNECTIONS_COUNTED)
    subprocess.run(["callgrind_control", "-i", "off", str(weir.pid)], check=True, capture_output=True)
    weir.stop()
    largest = max(folder.glob("callgrind*"), key=lambda file: file.stat().st_size)
    text = subprocess.run(["callgrind_annotate", "--threshold=90", str(largest)], check=True, capture_output=True, text=True).stdout
    for number, name in re.findall(r"^\s*([\d,]+) \([\d. ]+%\)\s+(.*)$", text, re.MULTILINE):
        short = re.sub(r"^\S*?:(?=\S)", "", name)[:130]
        print(f"{int(number.replace(',', '')) / count:10.0f}  {short}")


def count_calls(program: Program, name: str, folder: pathlib.Path, kind: str, size: int):
    run_load(program, kind, 1, size)
    output = folder / f"strace-{name}"
    watched = [argument for pid in program.pids() for argument in ("-p", str(pid))]
    strace = subprocess.Popen(["strace", "-f", "-c", "-o", str(output), *watched], stderr=subprocess.DEVNULL)
    time.sleep(1)  # until it has attached
    count = run_load(program, kind, 3, size)
    strace.send_signal(signal.SIGINT)
    strace.wait()
    program.stop()
    print(f"\n{name}, system calls each of {count}:")
    for line in output.read_text().splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[3].isdigit() and int(fields[3]) / count >= 0.01:
            print(f"{int(fields[3]) / count:8.2f}  {fields[-1]}")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("instructions", "calls") or sys.argv[2] not in CONNECTIONS:
        sys.exit(__doc__)
    tool, kind, size = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1024
    os.environ["PATH"] += ":/usr/sbin"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        origin = start_origin(60, 240)
        if tool == "instructions":
            count_instructions(origin, folder, kind, size)
        else:
            count_calls(start_nginx(origin.port, folder), "nginx", folder, kind, size)
            count_calls(start_weir(origin.port, folder), "weir", folder, kind, size)
        origin.stop()


main()
