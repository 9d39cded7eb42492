// The order in which documents are scored side by side: each once, those of a queue one after another and
// on one rank, and few rows without work.
#include "eval/score/beside/document_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "eval/score/scorer.h"

namespace pg {
namespace {

// Many short documents and few long ones, as web pages are: log-normal.
std::vector<int64_t> make_documents(int64_t count) {
  std::mt19937 random(7);
  std::vector<int64_t> chunks;
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0;  // of twelve uniform ones: about normal
    for (int k = 0; k < 12; ++k) sum += static_cast<double>(random()) / 4294967296.0;
    chunks.push_back(1 + static_cast<int64_t>(10.0 * std::exp(sum - 6.0)));
  }
  return chunks;
}

// Rows with work among all that run.
double count_use(std::span<const int64_t> chunks, const DocumentRows& rows) {
  int64_t work = 0, run = 0;
  for (const DocumentBatch& batch : batch_documents(chunks, 0, rows)) {
    run += batch.most_chunks * rows.count();
    for (const int64_t number : batch.numbers) {
      if (number >= 0) work += chunks[static_cast<size_t>(number)];
    }
  }
  return static_cast<double>(work) / static_cast<double>(run);
}

TEST(DocumentBatches, TakeEveryDocumentOnceAndQueuesInOrder) {
  const std::vector<int64_t> chunks = make_documents(300);
  for (const DocumentRows& rows :
       {DocumentRows{1, 8, 0}, DocumentRows{3, 2, 0}, DocumentRows{1, 1, 1}, DocumentRows{1, 8, 20},
        DocumentRows{4, 2, 21}, DocumentRows{3, 4, 2}, DocumentRows{2, 4, 1000}}) {
    constexpr int64_t kFirst = 50;
    std::vector<int> taken(chunks.size(), 0);
    std::map<int64_t, int64_t> last_of_queue;
    for (const DocumentBatch& batch : batch_documents(chunks, kFirst, rows)) {
      ASSERT_EQ(std::ssize(batch.numbers), rows.count());
      int64_t most = 0;
      for (int64_t row = 0; row < rows.count(); ++row) {
        const int64_t number = batch.numbers[static_cast<size_t>(row)];
        if (number < 0) continue;
        const auto at = static_cast<size_t>(number - kFirst);
        ++taken[at];
        most = std::max(most, chunks[at]);
        if (row % rows.of_a_rank > 0) {  // documents of a rank end from the last on
          const int64_t before = batch.numbers[static_cast<size_t>(row) - 1];
          ASSERT_GE(before, kFirst);
          EXPECT_GE(chunks[static_cast<size_t>(before - kFirst)], chunks[at]);
        }
        if (rows.queues == 0) continue;
        EXPECT_EQ(row / rows.of_a_rank, rows.rank_of(number));
        const auto [last, is_first] = last_of_queue.try_emplace(number % rows.queues, number);
        EXPECT_TRUE(is_first || last->second < number);
        last->second = number;
      }
      EXPECT_EQ(batch.most_chunks, most);
    }
    EXPECT_EQ(std::count(taken.begin(), taken.end(), 1), std::ssize(taken));
  }
}

TEST(DocumentBatches, MoreQueuesThanRowsLeaveFewRowsWithoutWork) {
  const std::vector<int64_t> chunks = make_documents(4000);
  EXPECT_GT(count_use(chunks, {1, 8, 0}), 0.98);
  const double whatever_is_next = count_use(chunks, {1, 64, 64});
  EXPECT_GT(count_use(chunks, {1, 8, 64}), 2 * whatever_is_next);
  EXPECT_GT(count_use(chunks, {1, 8, 512}), 0.9);
  EXPECT_GT(count_use(chunks, {8, 4, 512}), 2 * whatever_is_next);
}

TEST(DocumentBatches, NoDocumentsAreNoBatch) {
  EXPECT_TRUE(batch_documents({}, 0, {1, 4, 0}).empty());
  EXPECT_TRUE(batch_documents({}, 0, {1, 4, 4}).empty());
}

}  // namespace
}  // namespace pg
