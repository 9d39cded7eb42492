// Long texts in parts, because SentencePiece needs a hundred times a text's size.
#include "src/data/corpus/text_codec.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/data/corpus/case_ops.h"

namespace pg {
namespace {

// Longer texts than most documents are; SentencePiece takes some MB for one.
constexpr size_t kPartBytes = size_t{1} << 16;
// Text without a place to cut that is encoded whole: half a GB while it lasts.
constexpr size_t kMaxPartBytes = size_t{4} << 20;
// Around a cut, normalisation must leave so much text as it is. Its rules read a few characters.
constexpr size_t kWindowBytes = 16;
constexpr size_t kQuotedBytes = 64;  // of a text in a message
// Tokens decoded at once; SentencePiece takes a hundred bytes for each.
constexpr size_t kPartTokens = size_t{1} << 16;

}  // namespace

TextCodec::TextCodec(const Tokenizer& tokenizer)
    : tokenizer_(tokenizer),
      model_(tokenizer.model()),
      cut_places_(tokenizer.list_pieces(), tokenizer.own_space()) {}

std::vector<int32_t> TextCodec::encode_whole(std::string_view text) const {
  std::vector<int> ids;
  PG_CHECK(model_.Encode(text, &ids).ok(), "a loaded model encodes any text");
  return ids;
}

// The text must come back as it was, so that the vocabulary's characters are those of the text.
// Line ends and runs of spaces, which may come back as one space, bound what is looked at.
bool TextCodec::is_unchanged_around(std::string_view text, size_t at) const {
  const auto is_gap = [&](size_t place) {
    const auto byte = static_cast<uint8_t>(text[place]);
    const bool is_before_space =
        place + 1 < text.size() && static_cast<uint8_t>(text[place + 1]) <= ' ';
    return byte < ' ' || (byte == ' ' && is_before_space);
  };
  const auto is_inside = [&](size_t place) {
    return place < text.size() && (static_cast<uint8_t>(text[place]) & 0xc0) == 0x80;
  };
  size_t begin = at, end = at;
  while (begin > 0 && at - begin < kWindowBytes && !is_gap(begin - 1)) --begin;
  while (end < text.size() && end - at < kWindowBytes && !is_gap(end)) ++end;
  while (begin < at && (is_inside(begin) || text[begin] == ' ')) ++begin;
  while (end > at && (is_inside(end) || text[end - 1] == ' ')) --end;
  const std::string_view window = text.substr(begin, end - begin);
  return begin < at && at < end && decode_pieces(encode_whole(window)) == window;
}

size_t TextCodec::find_cut(std::string_view text, size_t from) const {
  for (size_t at = from; at < text.size(); ++at) {
    if (at - from > kMaxPartBytes) {
      throw Error(
          fmt::format("text too long for the tokenizer: {} bytes of \"{}...\" have no place where "
                      "they can be cut; break the text into documents",
                      at - from, text.substr(from, kQuotedBytes)));
    }
    if (!cut_places_.is_safe(text, at)) continue;
    if (is_unchanged_around(text, at)) return at;
    at += kWindowBytes;  // what changes here likely changes there
  }
  return text.size();
}

std::vector<int32_t> TextCodec::encode(std::string_view text) const {
  return tokenizer_.has_case_ops() ? encode_pieces(apply_case_ops(text)) : encode_pieces(text);
}

std::vector<int32_t> TextCodec::encode_pieces(std::string_view text) const {
  if (text.size() <= kPartBytes) return encode_whole(text);
  // A part is encoded with the character beyond the end at which SentencePiece would add its own
  // space or drop one; that character's ids, which are always the same, are then left out.
  const bool is_behind = tokenizer_.own_space() == OwnSpace::kBehind;
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = find_cut(text, std::min(begin + kPartBytes, text.size()));
    size_t left = begin, right = end;
    if (!is_behind && begin > 0) {
      do --left;
      while (left > 0 && (static_cast<uint8_t>(text[left]) & 0xc0) == 0x80);
    }
    if (is_behind && end < text.size()) {
      do ++right;
      while (right < text.size() && (static_cast<uint8_t>(text[right]) & 0xc0) == 0x80);
    }
    const std::vector<int32_t> part = encode_whole(text.substr(left, right - left));
    const size_t before = left < begin ? encode_whole(text.substr(left, begin - left)).size() : 0;
    const size_t behind = right > end ? encode_whole(text.substr(end, right - end)).size() : 0;
    PG_CHECK(before + behind <= part.size(), "a part holds the ids of its neighbour's character");
    ids.insert(ids.end(), part.begin() + static_cast<std::ptrdiff_t>(before),
               part.end() - static_cast<std::ptrdiff_t>(behind));
    begin = end;
  }
  return ids;
}

std::vector<int32_t> TextCodec::encode_document(std::string_view text) const {
  std::vector<int32_t> ids = encode(text);
  ids.insert(ids.begin(), kBosId);
  return ids;
}

std::string TextCodec::decode_whole(std::span<const int32_t> ids) const {
  std::string text;
  PG_CHECK(model_.Decode(std::vector<int>(ids.begin(), ids.end()), &text).ok(),
           "ids to decode lie inside the vocabulary");
  return text;
}

std::string TextCodec::decode(std::span<const int32_t> ids) const {
  return tokenizer_.has_case_ops() ? restore_case(decode_pieces(ids)) : decode_pieces(ids);
}

// A part is decoded behind the id before it, whose text is then left out: a text's first space is
// dropped, a part's is not. Both ids at a cut are pieces of text, so that no character is cut.
std::string TextCodec::decode_pieces(std::span<const int32_t> ids) const {
  const ByteTable& table = tokenizer_.byte_table();
  const auto is_text = [&](size_t at) {
    const auto id = static_cast<size_t>(ids[at]);
    return table.boundary[id] == 0 && table.bytes[id] > 0 && !model_.IsByte(ids[at]);
  };
  std::string text;
  for (size_t begin = 0; begin < ids.size();) {
    size_t end = std::min(begin + kPartTokens, ids.size());
    while (end < ids.size() && !(is_text(end - 1) && is_text(end))) ++end;
    const size_t left = begin > 0 ? begin - 1 : 0;
    const std::string part = decode_whole(ids.subspan(left, end - left));
    const size_t before = left < begin ? decode_whole(ids.subspan(left, begin - left)).size() : 0;
    text.append(part, before);
    begin = end;
  }
  if (tokenizer_.own_space() != OwnSpace::kBehind || ids.empty()) return text;
  // SentencePiece drops a space at the front as if it were its own, and leaves its own at the end.
  if (model_.IdToPiece(ids.front()).starts_with(kSpacePiece)) text.insert(0, 1, ' ');
  const bool has_own = table.trailing_space[static_cast<size_t>(ids.back())] != 0;
  if (has_own && !text.empty()) text.pop_back();
  return text;
}

}  // namespace pg
