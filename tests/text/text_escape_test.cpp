// Strings from recipes cannot become markup, commands or terminal control.
#include "src/text/text_escape.h"

#include <gtest/gtest.h>

#include "src/text/json_object.h"
#include "src/text/nearest_name.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

TEST(TextEscape, TerminalControlBecomesVisible) {
  EXPECT_EQ(escape_terminal("a\x1b[2J\nb\xc3\xa9\xff\xc2\x9b"),
            "a\\x1b[2J\\x0ab\xc3\xa9\\xff\\xc2\\x9b");
}

TEST(TextEscape, MarkdownAndXmlMarkupIsInert) {
  EXPECT_EQ(escape_markdown("a|b\n<img> [x](y)"), "a\\|b &lt;img\\> \\[x\\]\\(y\\)");
  EXPECT_EQ(escape_xml("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
}

TEST(TextEscape, ShellWordsAreQuotedWhenNeeded) {
  EXPECT_EQ(quote_shell("runs/a_1.toml"), "runs/a_1.toml");
  EXPECT_EQ(quote_shell("it's; rm"), "'it'\\''s; rm'");
  EXPECT_EQ(quote_shell(""), "''");
}

TEST(TextEscape, SlugsAreSafeFileNames) {
  EXPECT_EQ(make_slug("../My Run: #1!"), "my_run_1");
  EXPECT_EQ(make_slug("\xc3\xa9"), "unnamed");
}

TEST(NearestName, FindsTyposAndNothingFarOff) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("seed", "sede"), 1u);
  EXPECT_EQ(find_nearest_name("--sede", {"--set", "--seed"}), "--seed");
  EXPECT_EQ(find_nearest_name("xylophone", {"--set", "--seed"}), "");
  EXPECT_EQ(find_nearest_name(std::string(5000, 'a'), {"a"}), "");
}

TEST(JsonObject, KeepsOrderAndEscapes) {
  JsonObject json;
  json.add("b", int64_t{1}).add("a", "x\"\n\xff").add("c", 0.1).add("d", true);
  json.add("e", std::numeric_limits<double>::quiet_NaN()).add("f", JsonObject().add("g", 2.0));
  json.add("h", std::vector<std::string>{"\xff", ""});
  EXPECT_EQ(json.line(),
            "{\"b\":1,\"a\":\"x\\\"\\n\xef\xbf\xbd\",\"c\":0.1,\"d\":true,\"e\":null,\"f\":{\"g\":"
            "2.0},\"h\":["
            "\"\xef\xbf\xbd\",\"\"]}");
}

TEST(TextFormat, NumbersReadWell) {
  EXPECT_EQ(format_thousands(0), "0");
  EXPECT_EQ(format_thousands(999), "999");
  EXPECT_EQ(format_thousands(15930354), "15,930,354");
  EXPECT_EQ(format_thousands(-1234), "-1,234");
  EXPECT_EQ(format_thousands(-123), "-123");
  EXPECT_EQ(format_count(98304), "98.3k");
  EXPECT_EQ(format_count(1.89e14), "189.0T");
  EXPECT_EQ(format_count(2.4e9), "2.4G");
}

TEST(JsonError, NamesPlaceAndCause) {
  EXPECT_EQ(explain_json_error("{\"a\": 1}"), "");
  EXPECT_EQ(explain_json_error("{\"a\": "),
            "column 7: unexpected end of input; expected '[', '{', or a literal");
  EXPECT_EQ(explain_json_error("{\"a\": 1,\n \"b\": x}"), "line 2, column 7: invalid literal");
  EXPECT_EQ(explain_json_error("1e999"), "number overflow parsing '1e999'");
  // What was read last may be a whole text, and is left out.
  EXPECT_LT(explain_json_error("{\"a\": \"" + std::string(10'000, 'x')).size(), 100u);
}

}  // namespace
}  // namespace pg
