// Recipe keys of the track a run competes in and of the record it leaves. Caps and budgets are
// quant.cap_bytes, train.wallclock_s and eval.wallclock_s.
#pragma once
#include <string>

#include "src/base/field.h"

namespace pg {

struct TrackConfig {
  std::string name = "non_record";
  std::string hardware = "any CPU";
  std::string device = "cpu";
};

struct RecordConfig {
  std::string name = "unnamed";
  std::string author;
  std::string github_id;
  std::string blurb;
  std::string date;
};

template <class Config, class Visit>
void visit_track_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "name", .help = "track, as in records/<track>/ and submission.json"},
        c.name);
  visit(FieldInfo{.key = "hardware", .help = "hardware the track prescribes; goes into the record"},
        c.hardware);
  visit(FieldInfo{.key = "device", .help = "device to run on; --device overrides it"}, c.device);
}

template <class Config, class Visit>
void visit_record_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "name", .help = "title of the record", .environment = "RUN_ID"}, c.name);
  visit(FieldInfo{.key = "author", .help = "who submits it"}, c.author);
  visit(FieldInfo{.key = "github_id", .help = "GitHub account of the author"}, c.github_id);
  visit(FieldInfo{.key = "blurb", .help = "what is new, in a sentence or two"}, c.blurb);
  visit(FieldInfo{.key = "date", .help = "YYYY-MM-DD; empty means the day the run ends"}, c.date);
}

}  // namespace pg
