# Makes text, a tokenizer, shards and recipe.toml for runs of seconds in the current folder; sourced by cases. With case_ops=1
# the text goes through the case transform, and literal operators stand in it.
words=(the cat dog sees runs to a house and tree old river small bird under sky green road home Once again)
for document in $(seq 300); do
  text="Story $document:"
  for word in $(seq 40); do text+=" ${words[$(((document * 7 + word * word * 3 + word) % 21))]}"; done
  [ -z "${case_ops:-}" ] || text+=$' THE iPhone \ue004\ue001x'
  echo "{\"text\": \"$text\"}"
done > text.jsonl
vocab=$(train_gpt tokenizer train text.jsonl --vocab-size 300 ${case_ops:+--case-ops --lossless} --out m.model | sed 's/.*: \([0-9]*\) tokens.*/\1/')
train_gpt tokenize text.jsonl --tokenizer m.model --out shards --val-every 10 ${case_ops:+--case-ops} 2> /dev/null
cat > recipe.toml <<TOML
[data]
train_shards = "shards/corpus_train_*.bin"
val_shards = "shards/corpus_val_*.bin"
tokenizer = "m.model"
[model]
vocab_size = $vocab
layers = 2
dim = 32
heads = 1
kv_heads = 1
mlp_hidden = 64
bigram_buckets = 0
value_embed_dim = 0
value_embed_layers = 0
[train]
wallclock_s = 0.0
max_steps = 12
batch_tokens = 1024
micro_batch_tokens = 512
seq_len = 64
warmdown_form = "fraction"
[eval]
context = 64
stride = 16
batch_tokens = 512
${case_ops:+case_ops = true}
TOML
