"""An application as it is without weir: the OpenAI SDK finds its address and key in the environment."""

import sys

from openai import OpenAI

client = OpenAI()
stream = client.chat.completions.create(
    model="deepseek-chat",
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello in three languages."}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
