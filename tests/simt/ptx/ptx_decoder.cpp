#include "tests/simt/ptx/ptx_decoder.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>

#include "tests/simt/ptx/ptx_operations.h"
#include "tests/simt/ptx/ptx_thread.h"

namespace pg::ptx {
namespace {

constexpr size_t kSharedAlignment = 128;  // of dynamic shared memory
constexpr size_t kSharedGap = 16;         // between arrays: an access past one's end meets none
constexpr uint64_t kPoison = 0xa5a5a5a5a5a5a5a5;

const std::map<std::string_view, Special> kSpecials = {
    {"%tid.x", Special::kThreadX},    {"%tid.y", Special::kThreadY},
    {"%tid.z", Special::kThreadZ},    {"%ctaid.x", Special::kBlockX},
    {"%ctaid.y", Special::kBlockY},   {"%ctaid.z", Special::kBlockZ},
    {"%ntid.x", Special::kThreadsX},  {"%ntid.y", Special::kThreadsY},
    {"%ntid.z", Special::kThreadsZ},  {"%nctaid.x", Special::kBlocksX},
    {"%nctaid.y", Special::kBlocksY}, {"%nctaid.z", Special::kBlocksZ},
};

// The bits of a constant: 12, -3, 0x1F, 0f3F800000, 0d3FF0000000000000.
std::optional<uint64_t> parse_constant(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  if (text.empty() || text[0] < '0' || text[0] > '9') return {};
  int base = 10;
  const std::string_view prefix = text.substr(0, 2);
  if (prefix == "0x" || prefix == "0f" || prefix == "0d" || prefix == "0F" || prefix == "0D") {
    text.remove_prefix(2);
    base = 16;
  }
  if (text.ends_with('U')) text.remove_suffix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return is_negative ? 0 - value : value;
}

class Decoder {
 public:
  Decoder(std::shared_ptr<const ModuleText> module, const FunctionText& text,
          const FindFunction& find_callee)
      : text_(text), find_callee_(find_callee), function_(std::make_unique<Function>()) {
    function_->name = text.name;
    function_->module = std::move(module);
    function_->is_entry = text.is_entry;
    function_->max_threads = text.max_threads;
    add_slot(kPoison);  // kUnused
    scopes_.emplace_back();
    if (text.is_entry) {
      function_->parameters = text.parameters;
      for (const Parameter& p : text.parameters) scopes_[0][p.name] = constant(p.offset);
      return;
    }
    for (const Parameter& p : text.parameters) {
      function_->parameter_slots.push_back(declare_parameter(p.name, p.bytes));
    }
    for (const Parameter& p : text.results) {
      function_->result_slots.push_back(declare_parameter(p.name, p.bytes));
    }
  }

  std::unique_ptr<Function> decode() {
    for (const Statement& statement : split_body(function_->module->path, text_)) {
      line_ = statement.line;
      add_statement(statement.text);
    }
    finish();
    return std::move(function_);
  }

 private:
  struct Jump {
    size_t from;
    std::string label;
    int line;
  };

  [[noreturn]] void fail(const std::string& what) const {
    fail_parse(function_->module->path, line_, what);
  }

  // ---- slots ----------------------------------------------------------------------------------

  uint32_t add_slot(uint64_t value) {
    function_->registers.push_back(value);
    return static_cast<uint32_t>(function_->registers.size() - 1);
  }
  uint32_t constant(uint64_t value) {
    const auto [entry, is_new] = constants_.try_emplace(value, 0);
    if (is_new) entry->second = add_slot(value);
    return entry->second;
  }
  uint32_t declare_parameter(const std::string& name, size_t bytes) {
    if (bytes > sizeof(uint64_t)) fail(fmt::format("parameter {} is no register's size", name));
    call_parameters_[name] = add_slot(kPoison);
    return call_parameters_[name];
  }

  // A register, constant, special register or the address of a variable.
  uint32_t slot_of(std::string_view name) {
    if (name == "_") return kUnused;
    for (size_t i = scopes_.size(); i-- > 0;) {
      const auto found = scopes_[i].find(std::string(name));
      if (found != scopes_[i].end()) return found->second;
    }
    if (const std::optional<uint64_t> value = parse_constant(name)) return constant(*value);
    const auto special = kSpecials.find(name);
    if (special != kSpecials.end()) {
      const uint32_t slot = add_slot(0);
      function_->specials.emplace_back(slot, special->second);
      scopes_[0][std::string(name)] = slot;
      return slot;
    }
    return shared_of_module(name);
  }

  // ---- shared memory --------------------------------------------------------------------------

  uint32_t place_shared(const Variable& variable) {
    std::vector<uint8_t>& arrays = function_->shared_arrays;
    if (arrays_ == UINT8_MAX) fail("more than 255 shared arrays");
    const size_t gap = arrays.empty() ? 0 : kSharedGap, alignment = variable.alignment;
    const size_t offset = (arrays.size() + gap + alignment - 1) / alignment * alignment;
    arrays.resize(offset, 0);
    arrays.resize(offset + variable.bytes, ++arrays_);
    const uint32_t slot = add_slot(offset);
    scopes_[0][variable.name] = slot;
    return slot;
  }
  // Of the module's variables, those that this function names.
  uint32_t shared_of_module(std::string_view name) {
    for (const Statement& statement : function_->module->variables) {
      const Variable variable = parse_variable(statement.text);
      if (variable.name != name || variable.space != "shared") continue;
      if (!variable.is_extern) return place_shared(variable);
      dynamic_ = scopes_[0][variable.name] =
          add_slot(0);  // its address once all others have theirs
      return dynamic_;
    }
    fail(fmt::format("\"{}\" is no register, constant or shared array", name));
  }

  // ---- declarations ---------------------------------------------------------------------------

  void declare(std::string_view text) {
    if (text.starts_with(".reg")) return declare_registers(text);
    if (text.starts_with(".pragma")) return;
    const Variable variable = parse_variable(text);
    if (variable.space == "shared" && !variable.is_extern) {
      place_shared(variable);
    } else if (variable.space == "param") {
      declare_parameter(variable.name, variable.bytes);
    } else {
      fail(fmt::format("unknown PTX declaration: {}", text));
    }
  }
  // ".reg .b32 %r<10>" and ".reg .b16 a, b".
  void declare_registers(std::string_view text) {
    take_word(text);
    if (type_bytes(take_word(text).substr(1)) == 0) fail("registers of an unknown type");
    for (const std::string_view name : split_list(text, ',')) {
      const size_t bracket = name.find('<');
      if (bracket == name.npos) {
        scopes_.back()[std::string(name)] = add_slot(kPoison);
        continue;
      }
      const uint64_t count =
          parse_constant(name.substr(bracket + 1, name.size() - bracket - 2)).value_or(0);
      for (uint64_t i = 0; i < count; ++i) {
        scopes_.back()[fmt::format("{}{}", name.substr(0, bracket), i)] = add_slot(kPoison);
      }
    }
  }

  // ---- instructions ---------------------------------------------------------------------------

  void add_statement(std::string_view text) {
    if (text == "{") {
      scopes_.emplace_back();
    } else if (text == "}") {
      scopes_.pop_back();
    } else if (text.ends_with(':')) {
      labels_[std::string(text.substr(0, text.size() - 1))] =
          static_cast<uint32_t>(function_->code.size());
    } else if (text.starts_with('.')) {
      declare(text);
    } else {
      add_instruction(text);
    }
  }

  void add_instruction(std::string_view text) {
    const std::string whole(text);
    Instruction instruction;
    instruction.line = line_;
    if (text.starts_with('@')) {
      std::string_view guard = take_word(text).substr(1);
      instruction.is_guard_negated = guard.starts_with('!');
      if (instruction.is_guard_negated) guard.remove_prefix(1);
      instruction.guard = slot_of(guard);
    }
    std::string mnemonic(take_word(text));
    first_slots_.push_back(function_->slots.size());
    if (mnemonic == "bra" || mnemonic == "bra.uni") {
      jumps_.push_back({function_->code.size(), std::string(text), line_});
      mnemonic = "bra ";
    } else if (mnemonic == "call.uni") {
      add_call(text);
      mnemonic = "call ";
    } else {
      std::string shape;
      for (const std::string_view operand : split_list(text, ',')) shape += add_operand(operand);
      // Parameters of calls are registers here.
      if (is_call_parameter_ &&
          (mnemonic.starts_with("ld.param.") || mnemonic.starts_with("st.param."))) {
        mnemonic = "mov." + mnemonic.substr(9);
      }
      is_call_parameter_ = false;
      mnemonic += ' ' + shape;
    }
    instruction.run = find_operation(mnemonic);
    if (instruction.run == nullptr) fail(fmt::format("unknown PTX instruction: {}", whole));
    function_->code.push_back(instruction);
  }

  // Appends the operand's slots and returns its shape.
  char add_operand(std::string_view text) {
    std::vector<uint32_t>& slots = function_->slots;
    if (text.starts_with('{')) {
      const auto elements = split_list(text.substr(1, text.size() - 2), ',');
      for (const std::string_view element : elements) slots.push_back(slot_of(element));
      return static_cast<char>('0' + elements.size());
    }
    if (text.starts_with('[')) return add_address(text.substr(1, text.size() - 2));
    const size_t bar = text.find('|');
    if (bar != text.npos) {
      slots.push_back(slot_of(text.substr(0, bar)));
      slots.push_back(slot_of(text.substr(bar + 1)));
      return 'd';
    }
    slots.push_back(slot_of(text));
    return 'r';
  }
  char add_address(std::string_view text) {
    const size_t plus = text.find('+');
    const std::string_view base = trim(text.substr(0, plus));
    uint64_t displacement = 0;
    if (plus != text.npos) {
      const std::optional<uint64_t> value = parse_constant(trim(text.substr(plus + 1)));
      if (!value) fail(fmt::format("unknown PTX address: {}", text));
      displacement = *value;
    }
    const auto parameter = call_parameters_.find(std::string(base));
    if (parameter != call_parameters_.end()) {
      if (displacement != 0) fail("only whole parameters of calls are known");
      is_call_parameter_ = true;
      function_->slots.push_back(parameter->second);
      return 'r';
    }
    function_->slots.push_back(slot_of(base));
    function_->slots.push_back(constant(displacement));
    return 'm';
  }

  // "(result), name, (parameter, parameter)": slots of callee, results, parameters.
  void add_call(std::string_view text) {
    const auto parts = split_list(text, ',');
    if (parts.size() != 3) fail(fmt::format("unknown PTX call: {}", text));
    const Function& callee = find_callee_(std::string(parts[1]));
    function_->slots.push_back(static_cast<uint32_t>(function_->callees.size()));
    function_->callees.push_back(&callee);
    size_t count = 0;
    for (const std::string_view list : {parts[0], parts[2]}) {
      for (const std::string_view name : split_list(list.substr(1, list.size() - 2), ',')) {
        const auto parameter = call_parameters_.find(std::string(name));
        if (parameter == call_parameters_.end()) fail(fmt::format("\"{}\" is no parameter", name));
        function_->slots.push_back(parameter->second);
        ++count;
      }
    }
    if (count != callee.result_slots.size() + callee.parameter_slots.size() ||
        !callee.shared_arrays.empty()) {
      fail(fmt::format("unknown kind of PTX call: {}", text));
    }
  }

  void finish() {
    if (function_->shared_arrays.size() > 0 || dynamic_ != kUnused) {
      const size_t bytes = function_->shared_arrays.size();
      function_->shared_arrays.resize(
          (bytes + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment, 0);
    }
    if (dynamic_ != kUnused) function_->registers[dynamic_] = function_->shared_arrays.size();
    for (size_t i = 0; i < function_->code.size(); ++i) {
      function_->code[i].slots = function_->slots.data() + first_slots_[i];
    }
    for (const Jump& jump : jumps_) {
      const auto label = labels_.find(jump.label);
      line_ = jump.line;
      if (label == labels_.end()) fail(fmt::format("there is no label {}", jump.label));
      function_->code[jump.from].target = label->second;
    }
  }

  const FunctionText& text_;
  const FindFunction& find_callee_;
  std::unique_ptr<Function> function_;
  std::vector<std::map<std::string, uint32_t>> scopes_;  // slots by name, innermost last
  std::map<std::string, uint32_t> call_parameters_, labels_;
  std::map<uint64_t, uint32_t> constants_;
  std::vector<size_t> first_slots_;  // of each instruction
  std::vector<Jump> jumps_;
  uint32_t dynamic_ = kUnused;  // slot of the dynamic shared memory's address
  uint8_t arrays_ = 0;
  bool is_call_parameter_ = false;  // met in the current instruction
  int line_ = 0;
};

}  // namespace

std::unique_ptr<Function> decode(std::shared_ptr<const ModuleText> module, const FunctionText& text,
                                 const FindFunction& find_callee) {
  return Decoder(std::move(module), text, find_callee).decode();
}

Handler find_operation(const std::string& mnemonic_and_shape) {
  static const Operations operations = [] {
    Operations all;
    add_integer_operations(all);
    add_float_operations(all);
    add_conversions(all);
    add_memory_operations(all);
    add_warp_operations(all);
    return all;
  }();
  const auto found = operations.find(mnemonic_and_shape);
  return found == operations.end() ? nullptr : found->second;
}

}  // namespace pg::ptx
