// argv only: CLI11's reader of configuration files loses keys silently, so recipes are read by
// recipe_toml.cpp.
#include "harness/command/cli.h"

#include <fmt/format.h>
#include <unistd.h>  // environ

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "harness/command/commands.h"
#include "harness/command/version_text.h"
#include "harness/recipe/foreign_variables.h"
#include "harness/record/progress_line.h"
#include "src/text/nearest_name.h"
#include "src/text/terminal_text.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr int kExitUsage = 2;

// In the order of --help.
std::vector<Command> list_commands(const RunFunction& run) {
  return {make_run_command(run),       make_seeds_command(run),
          make_ablate_command(run),    make_replay_command(),
          make_verify_command(),       make_eval_command(),
          make_size_command(),         make_compare_command(),
          make_leaderboard_command(),  make_report_command(),
          make_watch_command(),        make_submission_command(),
          make_export_command(),       make_import_command(),
          make_pack_command(),         make_generate_command(),
          make_audit_command(),        make_encode_command(),
          make_decode_command(),       make_tokenizer_train_command(),
          make_tokenize_command(),     make_corpus_info_command(),
          make_recipe_command(),       make_recipe_explain_command(),
          make_recipe_scale_command(), make_plan_command(),
          make_bench_train_command(),  make_bench_pack_command(),
          make_bench_eval_command(),   make_bench_ops_command(),
          make_selftest_command(),     make_docs_ops_command()};
}

// Commands of two words: what their first word stands for.
const char* describe_group(std::string_view name) {
  if (name == "tokenizer") return "SentencePiece models";
  if (name == "corpus") return "figures about text and shards";
  if (name == "bench") return "measure speed and size";
  return "generated documentation";
}

template <class T>
constexpr bool kIsVector = false;
template <class T>
constexpr bool kIsVector<std::vector<T>> = true;

template <class T>
struct ElementOf {
  using Type = T;
};
template <class T>
struct ElementOf<std::vector<T>> {
  using Type = T;
};

// CLI11 turns -1 into 18446744073709551615 and a number too large into the largest.
template <class Integer>
std::string check_integer(const std::string& word) {
  Integer value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error == std::errc() && end == word.data() + word.size()) return {};
  return fmt::format("no whole number from {} to {}: \"{}\"", std::numeric_limits<Integer>::min(),
                     std::numeric_limits<Integer>::max(), word);
}

std::string check_not_empty(const std::string& word) {
  return word.empty() ? "is empty, where a value must stand" : "";
}

// Adds the check that values of type T need before they are converted.
template <class T>
void add_check(CLI::Option& added, const Option& option) {
  using Element = typename ElementOf<T>::Type;
  if constexpr (std::is_same_v<Element, int64_t> || std::is_same_v<Element, uint64_t>) {
    added.check(CLI::Validator(check_integer<Element>, ""));
  } else if constexpr (!std::is_arithmetic_v<Element>) {
    if (!option.may_be_empty) added.check(CLI::Validator(check_not_empty, ""));
  }
}

void add_option(CLI::App& app, const Option& option) {
  const bool has_dashes = std::string_view(option.name).starts_with("--");
  CLI::Option* added = std::visit(
      [&]<class T>(T* value) {
        if constexpr (std::is_same_v<T, bool>) {
          return app.add_flag(option.name, *value, option.help);
        } else {
          CLI::Option* o = app.add_option(option.name, *value, option.help);
          // Not the words behind its value as well, which belong to the command.
          add_check<T>(*o, option);
          if (kIsVector<T> && has_dashes) o->take_all()->expected(1)->allow_extra_args(false);
          return o;
        }
      },
      option.value);
  if (option.is_required) added->required();
  if (option.range) added->check(CLI::Range(option.range->min, option.range->max));
  if (option.shows_default) added->capture_default_str();
  if (option.excludes != nullptr) added->excludes(app.get_option(option.excludes));
}

// The command that `name` stands in; made when its first part comes.
CLI::App* find_group(CLI::App& program, const std::string& name) {
  const auto has_name = [&](const CLI::App* app) { return app->get_name() == name; };
  const std::vector<CLI::App*> found = program.get_subcommands(has_name);
  if (!found.empty()) return found.front();
  CLI::App* group = program.add_subcommand(name, describe_group(name));
  group->require_subcommand(1);
  return group;
}

// `chosen` becomes the command when the line names it.
void add_command(CLI::App& program, const Command& command, const Command*& chosen) {
  const std::string path = command.path;
  const size_t space = path.find(' ');
  CLI::App* parent =
      space == std::string::npos ? &program : find_group(program, path.substr(0, space));
  CLI::App* app = parent->add_subcommand(path.substr(space + 1), command.help);  // npos + 1 is 0
  for (const Option& option : command.options) add_option(*app, option);
  // Of a command that others stand in, theirs has come before.
  app->callback([&command, &chosen, app] {
    if (app->get_subcommands().empty()) chosen = &command;
  });
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

// The words that belong nowhere. "--" is not one, it only says that no option follows.
std::vector<std::string> list_extras(const CLI::App& app) {
  std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  std::erase(extras, "--");
  return extras;
}

bool has_end_of_options(const CLI::App& app) {
  const std::vector<std::string> words = app.remaining(/*recurse=*/true);
  return std::find(words.begin(), words.end(), "--") != words.end();
}

std::string describe_extra(const GivenCommand& given, const std::string& extra, bool has_end) {
  std::vector<std::string> known;
  for (const CLI::Option* option : given.app->get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  // An option that is known is only left over before its command or behind the end of options.
  if (std::find(known.begin(), known.end(), extra) != known.end()) {
    if (!has_end) {
      return fmt::format("option before its command: \"{}\"; write it behind \"{}\"", extra,
                         given.path);
    }
    return fmt::format("extra argument: \"{}\"; options stand before \"--\"", extra);
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
std::string describe_error(const CLI::App& app, const CLI::ParseError& error) {
  const GivenCommand given = find_given_command(app);
  const std::vector<std::string> extras = list_extras(app);
  std::string message;
  if (!extras.empty()) {
    message = describe_extra(given, extras.front(), has_end_of_options(app));
  } else if (given.app->get_require_subcommand_min() > 0) {
    message = fmt::format("no command given; see {} --help", given.path);
  } else {
    message = fmt::format("{}; see {} --help", escape_terminal(error.what()), given.path);
  }
  return "train_gpt: " + message + "\n";
}

constexpr int kNameColumns = 28;

std::string wrap_help(const std::string& help) {
  std::string text;
  for (size_t start = 0, end; start < help.size(); start = end + 1) {
    end = std::min(help.find('\n', start), help.size());
    const std::string line = help.substr(start, end - start);
    text += wrap_text(line, text_columns(stdout), line.starts_with("  ") ? kNameColumns : 2);
  }
  return text;
}

// The words of the command line, last first, as CLI11 takes them. "--option=" would take the next
// word for its value.
std::vector<std::string> list_words(int argc, const char* const* argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {
    const std::string word = argv[i];
    if (word.starts_with("--") && word.find('=') == word.size() - 1) {
      words.emplace_back();
      words.push_back(word.substr(0, word.size() - 1));
    } else {
      words.push_back(word);
    }
  }
  return words;
}

// Of a command that does not exist there is no help.
int print_help(const CLI::App& app) {
  const GivenCommand given = find_given_command(app);
  const std::vector<std::string> extras = list_extras(app);
  if (has_commands(given.app) && !extras.empty()) {
    std::fputs(fmt::format("train_gpt: {}\n",
                           describe_extra(given, extras.front(), has_end_of_options(app)))
                   .c_str(),
               stderr);
    return kExitUsage;
  }
  std::fputs(wrap_help(given.app->help(given.before)).c_str(), stdout);
  return 0;
}

}  // namespace

LoadedRecipe load_recipe_and_environment(const std::filesystem::path& file,
                                         const std::vector<std::string>& sets) {
  std::vector<std::string> names;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    names.emplace_back(text.substr(0, text.find('=')));
  }
  std::ranges::sort(names);
  ProgressLine progress = ProgressLine::for_stream(stderr);
  for (const std::string& doubt : list_doubtful_variables(names)) progress.warn(doubt);
  return load_recipe(file, sets, [](const char* name) -> const char* { return std::getenv(name); });
}

int run_command_line(int argc, const char* const* argv, Clock& clock, const RunFunction& run) {
  const std::vector<Command> commands = list_commands(run);
  const Command* chosen = nullptr;
  CLI::App app("Trains, quantises, packs and scores language models under a byte cap.",
               "train_gpt");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(), "revision, compiler, processor and libraries");
  app.get_formatter()->column_width(kNameColumns);
  for (const Command& command : commands) add_command(app, command, chosen);
  try {
    app.parse(list_words(argc, argv));
  } catch (const CLI::CallForHelp&) {
    return print_help(app);
  } catch (const CLI::CallForVersion&) {
    std::fputs(describe_version().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fputs(describe_error(app, error).c_str(), stderr);
    return kExitUsage;
  }
  return chosen->action(clock);
}

}  // namespace pg
