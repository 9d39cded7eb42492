#include "src/train/rank_exchange.h"

#include "src/base/check.h"

namespace pg {
namespace {

std::vector<Stretch> all_stretches(const RankWork& work) {
  std::vector<Stretch> all = work.adamw_stretches;
  for (const std::vector<Stretch>& bank : work.bank_stretches) {
    all.insert(all.end(), bank.begin(), bank.end());
  }
  return all;
}

template <class T>
CommPiece piece_of(int rank, T* base, const Stretch& stretch) {
  return {rank, base + stretch.offset, static_cast<size_t>(stretch.elements) * sizeof(T)};
}

template <class T>
void add_pieces(std::vector<CommPiece>& pieces, int rank, T* base,
                const std::vector<Stretch>& stretches) {
  for (const Stretch& stretch : stretches) pieces.push_back(piece_of(rank, base, stretch));
}

}  // namespace

RankExchange::RankExchange(Comm& comm, Weights& weights, Optimizer& optimizer, double* leaf_losses,
                           int64_t leaves, Sums sums)
    : comm_(comm), bank_pieces_(static_cast<size_t>(optimizer.work().banks)) {
  gathers_.reserve(bank_pieces_.size() + 1);
  std::vector<std::vector<Stretch>> of_ranks;
  for (int r = 0; r < comm.ranks(); ++r) {
    const RankWork& work = optimizer.work().ranks[static_cast<size_t>(r)];
    const std::vector<Stretch>& stretches = of_ranks.emplace_back(all_stretches(work));
    add_pieces(scattered_, r, weights.gradients(), stretches);
    add_pieces(sum_pieces_, r, optimizer.square_sums(), work.sum_stretches);
    const int64_t leaves_of_rank = leaves / comm.ranks();
    sum_pieces_.push_back(piece_of(r, leaf_losses, {r * leaves_of_rank, leaves_of_rank}));
    add_pieces(adamw_pieces_, r, weights.masters(), work.adamw_stretches);
    add_pieces(state_pieces_, r, optimizer.first_moments(), stretches);
    for (const Stretch& s : work.adamw_stretches) {
      const int64_t offset = s.offset - weights.layout().matrix_elements();
      state_pieces_.push_back(piece_of(r, optimizer.second_moments(), {offset, s.elements}));
    }
    if (optimizer.neuron_moments() != nullptr) {
      add_pieces(state_pieces_, r, optimizer.neuron_moments(), work.neuron_stretches);
    }
    for (size_t bank = 0; bank < bank_pieces_.size(); ++bank) {
      add_pieces(bank_pieces_[bank], r, weights.masters(), work.bank_stretches[bank]);
    }
  }
  if (sums == Sums::kOrdered) {
    ordered_.emplace(comm, weights.device(), weights.gradients(), of_ranks);
  }
}

void RankExchange::reduce_gradients() {
  if (ordered_) return ordered_->reduce();
  if (comm_.ranks() > 1) comm_.wait(comm_.reduce_scatter(scattered_));
}

void RankExchange::gather_sums() {
  if (comm_.ranks() > 1) comm_.wait(comm_.all_gather(sum_pieces_));
}

void RankExchange::start_gather_adamw() {
  if (comm_.ranks() > 1) gathers_.push_back(comm_.all_gather(adamw_pieces_));
}

void RankExchange::start_gather_bank(int bank) {
  if (comm_.ranks() == 1) return;
  gathers_.push_back(comm_.all_gather(bank_pieces_[static_cast<size_t>(bank)]));
}

void RankExchange::finish_gathers() {
  for (const CommTicket ticket : gathers_) comm_.wait(ticket);
  gathers_.clear();
}

void RankExchange::gather_state() {
  if (comm_.ranks() > 1) comm_.wait(comm_.all_gather(state_pieces_));
}

void RankExchange::broadcast(float* values, int64_t elements) {
  if (comm_.ranks() == 1) return;
  comm_.broadcast(values, static_cast<size_t>(elements) * sizeof(float), /*root=*/0);
}

}  // namespace pg
