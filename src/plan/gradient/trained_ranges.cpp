#include "src/plan/weight_layout.h"

namespace pg {

// Banks are ranges of their own; the small parameters with and without copies are one.
void WeightLayout::add_to_ranges(const ParamSpec& spec, int param, bool is_new_section) {
  const int64_t begin = offset(param), gradient_begin = gradient_offset(param);
  ParamRange* last = ranges_.empty() ? nullptr : &ranges_.back();
  const bool joins = last != nullptr && last->group == spec.group &&
                     last->factor == spec.place.factor &&
                     !(is_new_section && spec.group == ParamGroup::kMatrix) &&
                     begin - last->offset == gradient_begin - last->gradient_offset &&
                     begin <= last->offset + align(last->elements);
  if (!joins) {
    ranges_.push_back({spec.group, spec.place.factor, begin, gradient_begin, 0});
    last = &ranges_.back();
  }
  last->elements = begin + spec.elements() - last->offset;
}

}  // namespace pg
