// Recipe keys of the data: which shards, which tokenizer, in which order.
#pragma once
#include <string>

#include "src/base/field.h"

namespace pg {

struct DataConfig {
  std::string train_shards;  // glob, e.g. "data/fineweb_train_*.bin"
  std::string val_shards;
  std::string tokenizer;
  std::string loader = "sequential";
};

template <class Config, class Visit>
void visit_data_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "train_shards",
                  .help = "training shards in the challenge's format: a file or a glob"},
        c.train_shards);
  visit(FieldInfo{.key = "val_shards", .help = "validation shards: a file or a glob"},
        c.val_shards);
  visit(FieldInfo{.key = "tokenizer",
                  .help = "SentencePiece .model file that made the shards",
                  .environment = "TOKENIZER_PATH"},
        c.tokenizer);
  visit(FieldInfo{.key = "loader",
                  .help = "order of the training windows",
                  .choices = "sequential|coprime|shuffled"},
        c.loader);
}

}  // namespace pg
