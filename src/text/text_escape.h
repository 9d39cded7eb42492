// Strings from recipes and environments, made safe for the place they are printed in. A run's name
// or blurb may hold anything; none of it may end a TOML string, start Markdown or SVG markup, or
// drive a terminal.
#pragma once
#include <string>
#include <string_view>

namespace pg {

// For the inside of a TOML basic string.
std::string escape_toml(std::string_view text);
// One line of Markdown in which nothing of `text` is markup.
std::string escape_markdown(std::string_view text);
// For text and attributes of XML (SVG).
std::string escape_xml(std::string_view text);
// Control characters (line breaks and escape sequences too) become \x1b and the like.
std::string escape_terminal(std::string_view text);
// One word of a POSIX shell command line, quoted when it needs to be.
std::string quote_shell(std::string_view text);
// Lower-case letters, digits and underscores: a name for a file or folder.
std::string make_slug(std::string_view text);

}  // namespace pg
