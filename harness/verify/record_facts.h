// Everything that the rules look at, of one record folder: what lies in it, its logs, submission.json,
// README.md, and what follows from them about tracks, seeds and scores.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/verify/known_logs.h"
#include "harness/verify/log_facts.h"
#include "harness/verify/record_folder.h"
#include "harness/verify/submission_facts.h"

namespace pg {

enum class Track { kRecord, kNonRecord, kOwn };  // own: a track of ours, with its own cap and data

inline constexpr int64_t kCapBytes = 16'000'000;
inline constexpr double kTrainCapMs = 600'000, kEvalCapS = 600;
// UTF-8 bytes of the challenge's validation text, as its byte table counts them.
inline constexpr double kValBytes = 151'080'891;
// Days of the contest, as folders and submission.json name them.
inline constexpr std::string_view kFirstDay = "2026-03-17", kLastDay = "2026-05-04";
inline constexpr double kPlausibleBpb = 1.04;  // the best score that was accepted is 1.0565
inline constexpr double kLn2 = 0.69314718055994530942;

// Which lines of the logs give the stated score.
struct ScoreMatch {
  enum class How { kNone, kSingle, kMean };
  How how = How::kNone;
  ScoreKind kind = ScoreKind::kEvaluation;
  std::string label;
  std::vector<size_t> logs;  // by index, of those that take part
  bool is_last = true;       // it is the last evaluation of its log
  bool is_exact = false;  // to the digits of the stated score, not only to those of a shorter line
  // The value nearest to the stated one, whether or not it is equal.
  double nearest = 0, nearest_off = 1e300;
  std::string nearest_label, nearest_log;
};

// The scores of one seed that its logs end in.
struct SeedClaim {
  std::string seed;  // "42"; of a log that names none its path
  double bits_per_byte = 0;
  size_t log = 0;
  bool is_comparable = true;  // the same evaluation as the other seeds'
};

struct RecordFacts {
  const RecordFolder* folder = nullptr;
  std::string path;  // of the folder, as given
  Track track = Track::kRecord;
  bool is_own_record = false;  // of this program: it has a tape
  // Of a set that `train_gpt seeds` made: its seeds' folders, "seed_7". What lies in them is theirs.
  std::vector<std::string> own_seeds;
  std::vector<std::string> log_paths;
  std::vector<LogFacts> logs;  // of log_paths, in their order; not the empty ones
  std::vector<std::string> empty_logs;
  std::vector<const KnownLog*> known_logs;  // of each of `logs`; null where it is not known
  std::vector<size_t> distinct_logs;        // of those with the same bytes the first
  SubmissionFacts submission;
  std::string readme;                                   // README.md at the root
  std::vector<std::string> readme_lines, readme_lower;  // the second in lower case

  // Names and headings: where a record says what it is, in lower case.
  std::string title;
  // Stated score against the logs; how == kNone where there is no stated score too.
  std::optional<StatedNumber> stated;
  ScoreMatch match;
  std::vector<SeedClaim>
      seed_scores;  // final scores, by the evaluation that all seeds have if one is

  bool has_evaluation() const;
  // Seeds that a log names, by its lines or else by its file's name.
  std::vector<std::string> seeds_of(const LogFacts& log) const;
  // Of each log, whether the folder itself takes it back: README.md says so, or the stated score rests
  // on another log of the same seed.
  std::vector<bool> withdrawn;
  // The folder says that its figures were corrected, and states one that its logs do not have.
  bool states_correction() const;
  // Bytes per token as loss and score of a log's lines give them: the median; 0 where no line tells.
  double bytes_per_token(const LogFacts& log) const;
};

// `path` is the folder's, as it was given: its last parts may tell the track; else where its logs are
// known from may.
RecordFacts collect_facts(const RecordFolder& folder, const std::string& path,
                          const KnownLogs& known = {});

// Reads code_sizes.json of a folder that holds nothing but data (submission.json, README.md, logs) and
// adds what it lists as stand-ins; gives why it does not count, empty where it does or is not there.
std::string add_code_sizes(RecordFolder& folder);

// Loss over score of one line in bytes per token; 0 where the line has too few digits to tell.
double bytes_per_token(const LogScore& score);

// Of a line of stranger's text: the value is equal to the stated one to the digits given.
bool is_equal_to_digits(double stated, int stated_decimals, double value, int value_decimals);

}  // namespace pg
