module weir/stories/go342

go 1.22

require github.com/openai/openai-go/v3 v3.42.0
