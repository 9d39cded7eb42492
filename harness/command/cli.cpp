// argv only: CLI11's reader of configuration files loses keys silently, so recipes are read by
// recipe_toml.cpp.
#include "harness/command/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "src/text/nearest_name.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr int kExitUsage = 2;

// All options of all commands; the one command that was given picks its own.
struct Options {
  RunOptions run;
  std::string seed, device;
  EvalOptions eval;
  AuditCommand audit;
  SizeOptions size;
  ExportOptions exported;
  PackOptions pack;
  GenerateCommand generate;
  TrainTokenizerOptions train_tokenizer;
  TokenizeCommand tokenize;
  CorpusInfoCommand corpus_info;
  RecipeOptions recipe;
  BenchTrainOptions bench_train;
  BenchEvalOptions bench_eval;
  EncodeCommand encode;
  DecodeCommand decode;
  BenchPackOptions bench_pack;
  Command chosen = UsageText{};
};

void add_sets(CLI::App* app, std::vector<std::string>& sets) {
  app->add_option("--set", sets, "section.key=value; repeatable")->take_all()->expected(1);
}

void add_run(CLI::App& app, Options& o) {
  CLI::App* run =
      app.add_subcommand("run", "train, quantise, pack, score: a recipe in, a record out");
  run->add_option("recipe", o.run.recipe, "recipe.toml")->required();
  run->add_option("--out", o.run.out,
                  "folder of the record; default runs/<record.name>_seed<seed>");
  run->add_option("--seed", o.seed, "short for --set train.seed=N");
  run->add_option("--device", o.device, "short for --set track.device=NAME");
  add_sets(run, o.run.sets);
  run->add_flag("--fresh", o.run.fresh,
                "discard a run that lies in the folder instead of continuing it");
  run->callback([&o] {
    if (!o.seed.empty()) o.run.sets.push_back("train.seed=" + o.seed);
    if (!o.device.empty()) o.run.sets.push_back("track.device=" + o.device);
    o.chosen = o.run;
  });
}

void add_audit(CLI::App& app, Options& o) {
  CLI::App* audit =
      app.add_subcommand("audit", "probe whether an artifact's score could be a decoder's");
  audit->add_option("artifact", o.audit.artifact, "final_model.int6.bin")->required();
  audit->add_option("--recipe", o.audit.recipe,
                    "recipe.toml of the run: takes data, tokenizer and [eval] from it");
  audit->add_option("--data", o.audit.val_shards, "validation shards: a file or a glob");
  audit->add_option("--tokenizer", o.audit.tokenizer, "SentencePiece .model file");
  audit->add_option("--train", o.audit.train_shards,
                    "training shards, to look for validation text in them");
  audit
      ->add_option("--tokens", o.audit.tokens,
                   "tokens of the validation text to probe; default a window and 16 strides")
      ->check(CLI::Range(int64_t{16}, int64_t{1} << 24));
  audit->add_option("--out", o.audit.out, "folder for certificate.md and certificate.json");
  audit->add_option("--device", o.device, "default cpu");
  add_sets(audit, o.audit.sets);
  audit->callback([&o] {
    AuditCommand& a = o.audit;
    if (!a.val_shards.empty()) a.sets.push_back("data.val_shards=" + a.val_shards);
    if (!a.tokenizer.empty()) a.sets.push_back("data.tokenizer=" + a.tokenizer);
    if (!o.device.empty()) a.sets.push_back("track.device=" + o.device);
    o.chosen = a;
  });
}

void add_artifact_commands(CLI::App& app, Options& o) {
  CLI::App* eval = app.add_subcommand("eval", "score an artifact in bits per byte");
  eval->add_option("artifact", o.eval.artifact, "final_model.int6.bin")->required();
  eval->add_option("--recipe", o.eval.recipe,
                   "recipe.toml of the run: takes data, tokenizer and [eval] from it");
  eval->add_option("--data", o.eval.val_shards, "validation shards: a file or a glob");
  eval->add_option("--tokenizer", o.eval.tokenizer, "SentencePiece .model file");
  eval->add_option("--device", o.device, "default cpu");
  eval->add_option("--diagnose-pretraining", o.eval.pretrain_epochs,
                   "train N epochs on the text first and report what that hides; not a score")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}));
  eval->add_flag("--diagnose-published-mixer", o.eval.published_mixer,
                 "what PR #1033's n-gram cache reports, and why that is no score");
  add_sets(eval, o.eval.sets);
  eval->callback([&o] {
    if (!o.eval.val_shards.empty()) o.eval.sets.push_back("data.val_shards=" + o.eval.val_shards);
    if (!o.eval.tokenizer.empty()) o.eval.sets.push_back("data.tokenizer=" + o.eval.tokenizer);
    if (!o.device.empty()) o.eval.sets.push_back("track.device=" + o.device);
    o.chosen = o.eval;
  });

  CLI::App* size = app.add_subcommand("size", "what an artifact takes of the cap");
  size->add_option("artifact", o.size.artifact, "final_model.int6.bin")->required();
  size->add_option("--cap", o.size.caps_bytes,
                   "cap in bytes; repeatable; default 1000000, 16000000")
      ->take_all()
      ->expected(1)
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000'000}));
  size->add_flag("--tensors", o.size.tensors, "a table of the tensors too");
  size->callback([&o] { o.chosen = o.size; });

  CLI::App* exported =
      app.add_subcommand("export", "an artifact's dequantised weights as safetensors");
  exported->add_option("artifact", o.exported.artifact, "final_model.int6.bin")->required();
  exported->add_option("out", o.exported.out, ".safetensors file to write")->required();
  exported->callback([&o] { o.chosen = o.exported; });

  CLI::App* pack = app.add_subcommand("pack", "quantise and seal weights that a run exported");
  pack->add_option("weights", o.pack.weights, "final_model.safetensors")->required();
  pack->add_option("out", o.pack.out, "artifact to write")->required();
  pack->add_option("--recipe", o.pack.recipe, "recipe with [quant] and the training text");
  pack->add_option("--set", o.pack.sets, "section.key=value over the recipe");
  pack->callback([&o] { o.chosen = o.pack; });

  CLI::App* generate = app.add_subcommand("generate", "text from an artifact's model");
  generate->add_option("artifact", o.generate.artifact, "final_model.int6.bin")->required();
  generate->add_option("--tokenizer", o.generate.tokenizer, "SentencePiece .model file")
      ->required();
  generate->add_option("--prompt", o.generate.prompt, "text to continue");
  generate->add_option("--tokens", o.generate.options.tokens, "tokens to generate")
      ->capture_default_str();
  generate->add_option("--context", o.generate.options.context, "newest tokens that the model sees")
      ->capture_default_str();
  generate
      ->add_option("--temperature", o.generate.options.temperature, "0: always the likeliest token")
      ->capture_default_str();
  generate
      ->add_option("--top-k", o.generate.options.top_k, "draw from the k likeliest; 0: from all")
      ->capture_default_str();
  generate->add_option("--top-p", o.generate.options.top_p, "draw from the likeliest that reach p")
      ->capture_default_str();
  generate->add_option("--seed", o.generate.options.seed, "of the draws")->capture_default_str();
  generate->add_option("--device", o.generate.device, "device to run on")->capture_default_str();
  generate->callback([&o] { o.chosen = o.generate; });
}

void add_coding_commands(CLI::App& app, Options& o) {
  CLI::App* encode = app.add_subcommand("encode", "a text as a file of the score's length");
  encode->add_option("artifact", o.encode.artifact, "final_model.int6.bin")->required();
  encode->add_option("--recipe", o.encode.recipe,
                     "recipe.toml of the run: takes data, tokenizer and [eval] from it");
  encode->add_option("--tokenizer", o.encode.tokenizer, "SentencePiece .model file");
  CLI::Option* shards = encode->add_option("--data", o.encode.shards, "shards: a file or a glob");
  encode->add_option("--text", o.encode.text, "a text file, taken as one document")
      ->excludes(shards);
  encode->add_option("--out", o.encode.out, "file to write")->required();
  encode->add_option("--device", o.device, "default cpu");
  add_sets(encode, o.encode.sets);
  encode->callback([&o] {
    if (!o.encode.shards.empty()) o.encode.sets.push_back("data.val_shards=" + o.encode.shards);
    if (!o.encode.tokenizer.empty()) {
      o.encode.sets.push_back("data.tokenizer=" + o.encode.tokenizer);
    }
    if (!o.device.empty()) o.encode.sets.push_back("track.device=" + o.device);
    o.chosen = o.encode;
  });

  CLI::App* decode = app.add_subcommand("decode", "the text of a file that encode wrote");
  decode->add_option("artifact", o.decode.artifact, "the artifact it was encoded with")->required();
  decode->add_option("file", o.decode.file, "file that train_gpt encode wrote")->required();
  decode->add_option("--tokenizer", o.decode.tokenizer, "SentencePiece .model file")->required();
  decode->add_option("--out", o.decode.out, "text file to write; default stdout");
  decode->add_option("--device", o.decode.device, "device to run on")->capture_default_str();
  decode->callback([&o] { o.chosen = o.decode; });
}

void add_data_commands(CLI::App& app, Options& o) {
  CLI::App* tokenizer = app.add_subcommand("tokenizer", "SentencePiece models");
  tokenizer->require_subcommand(1);
  CLI::App* train =
      tokenizer->add_subcommand("train", "train a BPE model with the challenge's options");
  train->add_option("input", o.train_tokenizer.input, "text: .txt, .jsonl or a folder of .txt")
      ->required();
  train->add_option("--vocab-size", o.train_tokenizer.vocab_size, "tokens")
      ->check(CLI::Range(int64_t{260}, int64_t{65536}))
      ->capture_default_str();
  train->add_option("--out", o.train_tokenizer.out, ".model file to write")->required();
  train->callback([&o] { o.chosen = o.train_tokenizer; });

  TokenizeOptions& t = o.tokenize.options;
  CLI::App* tokenize = app.add_subcommand("tokenize", "text to token shards");
  tokenize->add_option("input", t.input, "text: .txt, .jsonl or a folder of .txt")->required();
  tokenize->add_option("--tokenizer", t.tokenizer, "SentencePiece .model file")->required();
  tokenize->add_option("--out", t.output_folder, "folder for the shards")->required();
  tokenize->add_option("--name", t.name, "shards are <name>_<split>_000000.bin")
      ->capture_default_str();
  tokenize
      ->add_option("--val-every", t.val_every,
                   "about one document in N goes to val; 0: all to --split")
      ->capture_default_str();
  tokenize->add_option("--split", t.split, "split that takes all documents with --val-every 0")
      ->capture_default_str();
  tokenize->add_option("--shard-tokens", t.shard_tokens, "tokens of a shard at most")
      ->capture_default_str();
  tokenize->callback([&o] { o.chosen = o.tokenize; });

  CorpusInfoOptions& c = o.corpus_info.options;
  CLI::App* corpus = app.add_subcommand("corpus", "figures about text and shards");
  corpus->require_subcommand(1);
  CLI::App* info =
      corpus->add_subcommand("info", "documents, bytes, tokens, overlap of train and val");
  info->add_option("train", c.train, "text, a shard, or a glob that ends in .bin")->required();
  info->add_option("--val", c.val, "validation text or shards");
  info->add_option("--tokenizer", c.tokenizer, "SentencePiece .model file")->required();
  info->callback([&o] { o.chosen = o.corpus_info; });
}

void add_recipe_commands(CLI::App& app, Options& o) {
  CLI::App* recipe = app.add_subcommand("recipe", "print the effective recipe, or all keys");
  recipe->add_option("recipe", o.recipe.recipe, "recipe.toml; the defaults without it");
  add_sets(recipe, o.recipe.sets);
  recipe->add_flag("--help-keys", o.recipe.help_keys,
                   "every key with unit, range, default and environment name");
  recipe->callback([&o] { o.chosen = o.recipe; });

  CLI::App* bench = app.add_subcommand("bench", "measure speed and size");
  bench->require_subcommand(1);
  CLI::App* train = bench->add_subcommand("train", "time training steps on random tokens");
  train->add_option("--shape", o.bench_train.shape, "small, record (the 27M stack) or all")
      ->capture_default_str();
  train->add_option("--steps", o.bench_train.steps, "timed steps per shape")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  train->add_option("--device", o.bench_train.device, "device to run on")->capture_default_str();
  train->add_flag("--profile", o.bench_train.profile, "time every op");
  train->add_flag("--json", o.bench_train.json, "one JSON object a shape instead of the table");
  train->callback([&o] { o.chosen = o.bench_train; });
  CLI::App* pack =
      bench->add_subcommand("pack", "the weight coder against general compressors on artifacts");
  pack->add_option("artifact", o.bench_pack.artifacts, "final_model.int6.bin; repeatable");
  pack->add_flag("--synthetic", o.bench_pack.synthetic, "36M Gaussian codes as well");
  pack->add_flag("--no-lrzip", o.bench_pack.no_lrzip, "leave out the slowest of the others");
  pack->callback([&o] { o.chosen = o.bench_pack; });

  CLI::App* eval = bench->add_subcommand("eval", "time the forward passes of scoring");
  eval->add_option("--passes", o.bench_eval.passes, "timed passes of each kind")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  eval->add_option("--device", o.bench_eval.device, "device to run on")->capture_default_str();
  eval->add_flag("--profile", o.bench_eval.profile, "time every op");
  eval->callback([&o] { o.chosen = o.bench_eval; });

  CLI::App* docs = app.add_subcommand("docs", "generated documentation");
  docs->require_subcommand(1);
  docs->add_subcommand("ops", "docs/ops.md: every op with its formula and gradient rule")
      ->callback([&o] { o.chosen = DocsOpsCommand{}; });
}

// The innermost command that was given on the line, and the words that lead to it.
struct GivenCommand {
  const CLI::App* app;
  std::string path;    // "train_gpt tokenizer train"
  std::string before;  // "train_gpt tokenizer"
};

GivenCommand find_given_command(const CLI::App& app) {
  GivenCommand given = {&app, app.get_name(), ""};
  while (!given.app->get_subcommands().empty()) {
    given.app = given.app->get_subcommands().front();
    given.before = given.path;
    given.path += " " + given.app->get_name();
  }
  return given;
}

bool has_commands(const CLI::App* app) {
  return !app->get_subcommands([](const CLI::App*) { return true; }).empty();
}

std::string describe_extra(const GivenCommand& given, const std::string& extra) {
  std::vector<std::string> known;
  for (const CLI::Option* option : given.app->get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const CLI::App* sub : given.app->get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(sub->get_name());
  }
  const char* kind = extra.starts_with("-")    ? "unknown option"
                     : has_commands(given.app) ? "unknown command"
                                               : "extra argument";
  const std::string nearest = find_nearest_name(extra.substr(0, extra.find('=')), known);
  return fmt::format("{}: \"{}\"; {}", kind, escape_terminal(extra),
                     nearest.empty() ? fmt::format("see {} --help", given.path)
                                     : fmt::format("did you mean \"{}\"?", nearest));
}

// CLI11 reports what is missing before what is unknown; a mistyped option then reads as a missing
// one.
UsageText describe_error(const CLI::App& app, const CLI::ParseError& error) {
  const GivenCommand given = find_given_command(app);
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  std::string message;
  if (!extras.empty()) {
    message = describe_extra(given, extras.front());
  } else if (has_commands(given.app)) {
    message = fmt::format("no command given; see {} --help", given.path);
  } else {
    message = fmt::format("{}; see {} --help", escape_terminal(error.what()), given.path);
  }
  return {"train_gpt: " + message + "\n", kExitUsage};
}

}  // namespace

Command parse_command_line(int argc, const char* const* argv) {
  Options options;
  CLI::App app("Trains, quantises, packs and scores language models under a byte cap.",
               "train_gpt");
  app.require_subcommand(1);
  app.get_formatter()->column_width(28);
  add_run(app, options);
  add_artifact_commands(app, options);
  add_audit(app, options);
  add_coding_commands(app, options);
  add_data_commands(app, options);
  add_recipe_commands(app, options);
  try {
    app.parse(argc, argv);
    return options.chosen;
  } catch (const CLI::CallForHelp&) {
    const GivenCommand given = find_given_command(app);
    return UsageText{given.app->help(given.before), 0};
  } catch (const CLI::ParseError& error) {
    return describe_error(app, error);
  }
}

}  // namespace pg
