#include "src/device/comm/agreement.h"

#include <cstdint>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"

namespace pg {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

Bytes write_facts(std::span<const std::pair<std::string, std::string>> facts) {
  ByteWriter out;
  for (const auto& [name, value] : facts) {
    out.string(name);
    out.string(value);
  }
  return out.take();
}

Facts read_facts(const Bytes& bytes) {
  const auto most = static_cast<uint32_t>(bytes.size());
  Facts facts;
  for (ByteReader in(bytes); in.remaining() > 0 && in.ok();) {
    std::string name = in.string(most);
    facts.emplace_back(std::move(name), in.string(most));
  }
  return facts;
}

// The facts of every rank, as bytes.
std::vector<Bytes> gather_facts(Comm& comm, Bytes own) {
  const auto ranks = static_cast<size_t>(comm.ranks());
  std::vector<uint64_t> sizes(ranks);
  sizes[static_cast<size_t>(comm.rank())] = own.size();
  std::vector<CommPiece> pieces;
  for (size_t i = 0; i < ranks; ++i) {
    pieces.push_back({static_cast<int>(i), &sizes[i], sizeof sizes[i]});
  }
  comm.wait(comm.all_gather(pieces));
  std::vector<Bytes> all(ranks);
  all[static_cast<size_t>(comm.rank())] = std::move(own);
  for (size_t i = 0; i < ranks; ++i) {
    all[i].resize(sizes[i]);
    pieces[i] = {static_cast<int>(i), all[i].data(), all[i].size()};
  }
  comm.wait(comm.all_gather(pieces));
  return all;
}

std::string describe_difference(const Facts& first, const Facts& other, int rank) {
  const std::string on_rank = "\" on rank " + std::to_string(rank);
  for (size_t i = 0; i < first.size() || i < other.size(); ++i) {
    const std::string name = i < first.size() ? first[i].first : "nothing";
    const std::string other_name = i < other.size() ? other[i].first : "nothing";
    if (name != other_name) {
      return "\"" + name + "\" is asked for on rank 0 and \"" + other_name + on_rank;
    }
    if (first[i].second != other[i].second) {
      return name + " is \"" + first[i].second + "\" on rank 0 and \"" + other[i].second + on_rank;
    }
  }
  return "";
}

}  // namespace

void check_agreement(Comm& comm, std::span<const std::pair<std::string, std::string>> facts) {
  const std::vector<Bytes> all = gather_facts(comm.host(), write_facts(facts));
  const Facts first = read_facts(all[0]);
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    throw Error("ranks disagree: " +
                describe_difference(first, read_facts(all[rank]), static_cast<int>(rank)) +
                "; start every rank with the same program, recipe and data");
  }
}

}  // namespace pg
