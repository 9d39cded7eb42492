#include "eval/score/beside/document_batches.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <utility>

namespace pg {
namespace {

struct Waiting {
  int64_t chunks = 0;
  int64_t queue = 0;
};

bool is_longer(const Waiting& a, const Waiting& b) { return a.chunks > b.chunks; }

std::vector<DocumentBatch> batch_by_length(std::span<const int64_t> chunks, int64_t first,
                                           int64_t rows) {
  std::vector<int64_t> order(chunks.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return chunks[static_cast<size_t>(a)] > chunks[static_cast<size_t>(b)];
  });
  std::vector<DocumentBatch> batches;
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t row = i % static_cast<size_t>(rows);
    if (row == 0) {
      batches.push_back({.numbers = std::vector<int64_t>(static_cast<size_t>(rows), -1),
                         .most_chunks = chunks[static_cast<size_t>(order[i])]});
    }
    batches.back().numbers[row] = first + order[i];
  }
  return batches;
}

// The next document of every queue, those of a rank together and the longest first.
class QueueHeads {
 public:
  QueueHeads(std::span<const int64_t> chunks, int64_t first, const DocumentRows& rows)
      : chunks_(chunks),
        first_(first),
        rows_(rows),
        queues_(static_cast<size_t>(std::min(rows.queues, std::ssize(chunks)))),
        waiting_(static_cast<size_t>(rows.ranks)) {
    for (int64_t i = 0; i < std::ssize(chunks); ++i) {
      queues_[static_cast<size_t>(i % rows_.queues)].push_back(i);
    }
    for (int64_t queue = 0; queue < std::ssize(queues_); ++queue) show_next(queue);
  }

  // None left: of no chunks.
  DocumentBatch take() {
    const int64_t most = choose_length();
    DocumentBatch batch = {.numbers = std::vector<int64_t>(static_cast<size_t>(rows_.count()), -1),
                           .most_chunks = most};
    for (int64_t rank = 0; rank < rows_.ranks && most > 0; ++rank) {
      std::vector<Waiting>& heads = waiting_[static_cast<size_t>(rank)];
      const std::span<const Waiting> chosen = heads_up_to(heads, most);
      const auto begin = heads.begin() + (chosen.data() - heads.data());
      const std::vector<Waiting> taken(chosen.begin(), chosen.end());
      heads.erase(begin, begin + std::ssize(taken));
      for (size_t row = 0; row < taken.size(); ++row) {
        std::deque<int64_t>& queue = queues_[static_cast<size_t>(taken[row].queue)];
        batch.numbers[static_cast<size_t>(rank * rows_.of_a_rank) + row] = first_ + queue.front();
        queue.pop_front();
      }
      for (const Waiting& head : taken) show_next(head.queue);
    }
    return batch;
  }

 private:
  void show_next(int64_t queue) {
    const std::deque<int64_t>& documents = queues_[static_cast<size_t>(queue)];
    if (documents.empty()) return;
    const int64_t next = documents.front();
    const Waiting head = {chunks_[static_cast<size_t>(next)], queue};
    std::vector<Waiting>& heads = waiting_[static_cast<size_t>(rows_.rank_of(first_ + next))];
    heads.insert(std::upper_bound(heads.begin(), heads.end(), head, is_longer), head);
  }

  // The longest of at most so many chunks, as many as a rank has rows.
  std::span<const Waiting> heads_up_to(std::span<const Waiting> heads, int64_t most) const {
    const auto begin = std::lower_bound(heads.begin(), heads.end(), Waiting{most, 0}, is_longer);
    return {begin, begin + std::min(rows_.of_a_rank, heads.end() - begin)};
  }

  // The chunks of the longest document in the batch that has the fewest rows without work, the longer of
  // two alike.
  int64_t choose_length() const {
    int64_t best = 0, best_work = 0;
    for (const std::vector<Waiting>& of_rank : waiting_) {
      int64_t seen = 0;
      for (const Waiting& longest : of_rank) {
        if (longest.chunks == std::exchange(seen, longest.chunks)) continue;
        int64_t work = 0;
        for (const std::vector<Waiting>& heads : waiting_) {
          for (const Waiting& head : heads_up_to(heads, longest.chunks)) work += head.chunks;
        }
        // work / longest.chunks against best_work / best
        const int64_t now = work * std::max<int64_t>(best, 1), before = best_work * longest.chunks;
        if (now > before || (now == before && longest.chunks > best)) {
          best = longest.chunks;
          best_work = work;
        }
      }
    }
    return best;
  }

  std::span<const int64_t> chunks_;
  int64_t first_;
  DocumentRows rows_;
  std::vector<std::deque<int64_t>> queues_;    // what is left of each
  std::vector<std::vector<Waiting>> waiting_;  // of each rank
};

}  // namespace

std::vector<DocumentBatch> batch_documents(std::span<const int64_t> chunks, int64_t first,
                                           const DocumentRows& rows) {
  if (rows.queues == 0) return batch_by_length(chunks, first, rows.count());
  std::vector<DocumentBatch> batches;
  QueueHeads heads(chunks, first, rows);
  for (DocumentBatch batch = heads.take(); batch.most_chunks > 0; batch = heads.take()) {
    batches.push_back(std::move(batch));
  }
  return batches;
}

}  // namespace pg
