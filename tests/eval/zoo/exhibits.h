// The zoo: frauds, each with the probe that must reject it, and legal scorers that must pass all.
#pragma once
#include <string>
#include <vector>

#include "tests/eval/zoo/count_scorer.h"

namespace pg {

struct Exhibit {
  std::string name;
  std::string probe;  // that must reject it; empty: legal
  AuditSubject subject;
};

template <class S, class... Args>
Exhibit make_exhibit(const char* name, const char* probe, Args... arguments) {
  return {name, probe, make_zoo_subject(make_factory<S>(arguments...))};
}

void append_peeking_frauds(std::vector<Exhibit>& zoo);       // use tokens they may not know
void append_distribution_frauds(std::vector<Exhibit>& zoo);  // whose numbers are no distribution
void append_bookkeeping_frauds(std::vector<Exhibit>& zoo);   // order, state, bytes
void append_legal_learners(std::vector<Exhibit>& zoo);
void append_legal_mixers(std::vector<Exhibit>& zoo);

std::vector<Exhibit> list_frauds();
std::vector<Exhibit> list_legal();

}  // namespace pg
