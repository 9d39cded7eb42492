#include "src/train/rank_exchange.h"

#include <numeric>

#include "src/base/check.h"
#include "src/train/gradient_leaves.h"

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
    : comm_(comm),
      weights_(weights),
      sums_(sums),
      own_(all_stretches(optimizer.own_work())),
      bank_pieces_(static_cast<size_t>(optimizer.work().banks)),
      holders_(static_cast<size_t>(comm.ranks())) {
  gathers_.reserve(bank_pieces_.size() + 1);
  int64_t own_elements = 0;
  for (const Stretch& stretch : own_) own_elements += stretch.elements;
  const auto others = static_cast<int64_t>(comm.ranks() - 1);
  if (sums == Sums::kOrdered && others > 0) {
    received_ =
        DeviceBuffer(weights.device(), static_cast<size_t>(others * own_elements) * sizeof(float));
  }
  float* to = received_.as<float>();
  for (int r = 0; r < comm.ranks(); ++r) {
    const RankWork& work = optimizer.work().ranks[static_cast<size_t>(r)];
    const std::vector<Stretch> stretches = all_stretches(work);
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
    if (r == comm.rank() || sums == Sums::kFast) continue;
    add_pieces(sends_, r, weights.gradients(), stretches);
    for (const Stretch& stretch : own_) {
      receives_.push_back({r, to, static_cast<size_t>(stretch.elements) * sizeof(float)});
      to += stretch.elements;
    }
  }
}

void RankExchange::reduce_gradients() {
  if (comm_.ranks() == 1) return;
  if (sums_ == Sums::kFast) {
    comm_.wait(comm_.reduce_scatter(scattered_));
    return;
  }
  comm_.wait(comm_.exchange(sends_, receives_));
  sum_in_order();
}

// At each level neighbours are added; where this rank's own part is one of them, the sum goes there.
void RankExchange::sum_in_order() {
  const int own = comm_.rank();
  const auto ranks = static_cast<size_t>(comm_.ranks());
  std::iota(holders_.begin(), holders_.end(), 0);  // of the subtree that begins at a rank
  const auto part = [&](int rank, size_t stretch) {
    if (rank == own) return weights_.gradients() + own_[stretch].offset;
    const auto place = static_cast<size_t>(rank < own ? rank : rank - 1);
    return static_cast<float*>(receives_[place * own_.size() + stretch].data);
  };
  for (size_t width = 1; width < ranks; width *= 2) {
    for (size_t r = 0; r + width < ranks; r += 2 * width) {
      int& left = holders_[r];
      const int right = holders_[r + width];
      const int to = right == own ? right : left, from = right == own ? left : right;
      for (size_t i = 0; i < own_.size(); ++i) {
        add_floats(weights_.device(), part(to, i), part(from, i), own_[i].elements);
      }
      left = to;
    }
  }
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
