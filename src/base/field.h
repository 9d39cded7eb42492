// What a recipe key is: its name, range, unit, help text, the environment variable the community
// uses for it, and what its value can change.
//
// A config struct lists its fields once, in visit_<section>_fields(config, visit), which calls
// visit(FieldInfo, member) for each. Parsing, printing, help, validation, identities, the record
// and the artifact header are visitors over that list. Members are int64_t, double, bool,
// std::string, or an enum class whose names stand beside it in kChoiceNames.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace pg {

// What another value of a key can change: nothing but what is shown or kept, or the numbers of one
// or more stages.
enum class Affects : uint8_t { kShown = 0, kTraining = 1, kPacking = 2, kScoring = 4 };
constexpr Affects operator|(Affects a, Affects b) {
  return static_cast<Affects>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b));
}
constexpr bool have_common(Affects a, Affects b) {
  return (static_cast<uint8_t>(a) & static_cast<uint8_t>(b)) != 0;
}

struct FieldInfo {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  const char* unit = "";  // "s", "tokens", "bytes"; empty when dimensionless
  const char* env = "";   // community name such as "MATRIX_LR"; empty when there is none
  bool is_path = false;   // names files, which identities take by their content instead
  const char* help = "";
  // Filled in by affecting():
  const char* key = "";
  Affects affects = Affects::kShown;
  std::span<const std::string_view> choices = {};  // of an enum, in its order
};

// The names of an enum's values, 0, 1, ...; specialised beside every enum that is a recipe key.
template <class Choice>
inline constexpr std::array<std::string_view, 0> kChoiceNames = {};

template <class... Names>
constexpr std::array<std::string_view, sizeof...(Names)> name_choices(Names... names) {
  return {names...};
}

template <class Choice>
constexpr std::string_view choice_name(Choice choice) {
  return kChoiceNames<Choice>[static_cast<size_t>(choice)];
}

template <class Choice>
constexpr std::optional<Choice> find_choice(std::string_view name) {
  for (size_t i = 0; i < kChoiceNames<Choice>.size(); ++i) {
    if (kChoiceNames<Choice>[i] == name) return static_cast<Choice>(i);
  }
  return {};
}

// What a table of fields is written with: row("layers", c.layers, {.min = 1, .help = "..."}).
template <class Visit>
constexpr auto affecting(Affects affects, Visit& visit) {
  return [&visit, affects](const char* key, auto& member, FieldInfo info) {
    using Member = std::remove_cvref_t<decltype(member)>;
    info.key = key;
    info.affects = affects;
    if constexpr (std::is_enum_v<Member>) info.choices = kChoiceNames<Member>;
    visit(static_cast<const FieldInfo&>(info), member);
  };
}

}  // namespace pg
