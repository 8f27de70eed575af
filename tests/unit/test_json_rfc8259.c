#include "check.h"
#include "nefia/base/err.h"
#include "nefia/base/kconfig.h"
#include "nefia/json/json.h"

/* What RFC 8259 lets a document be, and what not. Where the RFC leaves the choice to the reader,
 * ours refuses: a member given twice, an escaped lone surrogate, a byte order mark, more than
 * JSON_MAX_DEPTH levels. Numbers are text, so none is too large. */
enum { TOKENS = 256 };

static struct json_token tokens[TOKENS], fast_tokens[TOKENS];

struct text_case {
    const char *name, *text;
    size_t len;
};
/* The text may hold NUL bytes. */
#define CASE(name, text) {name, text, sizeof text - 1}

struct refused_case {
    const char *name, *text;
    size_t len;
    int err;
};
#define SYNTAX(name, text) {name, text, sizeof text - 1, NEFIA_ESYNTAX}
#define UTF8(name, text)   {name, text, sizeof text - 1, NEFIA_EUTF8}
#define TWICE(name, text)  {name, text, sizeof text - 1, NEFIA_EEXIST}
#define DEPTH(name, text)  {name, text, sizeof text - 1, NEFIA_EDEPTH}

#define TIMES8(s)  s s s s s s s s
#define TIMES64(s) TIMES8(TIMES8(s))

static const struct text_case accepted[] = {
    /* structure */
    CASE("an empty object", "{}"),
    CASE("an empty array", "[]"),
    CASE("a lone string", "\"door\""),
    CASE("a lone empty string", "\"\""),
    CASE("a lone integer", "7"),
    CASE("a lone negative number", "-7.5"),
    CASE("a lone zero", "0"),
    CASE("a lone true", "true"),
    CASE("a lone false", "false"),
    CASE("a lone null", "null"),
    CASE("space before", " \t\r\n{}"),
    CASE("space behind", "{} \t\r\n"),
    CASE("space around a number", "\n12\n"),
    CASE("space around a literal", "\tnull "),
    CASE("space between all tokens", " { \"a\" : [ 1 , 2 ] , \"b\" : { } } "),
    CASE("each kind of space between all tokens", "\r{\n\"a\"\t:\r\n[\t]\n}\r"),
    CASE("no space at all", "{\"a\":[1,{\"b\":null}],\"c\":\"d\"}"),
    CASE("as deep as it goes, arrays", TIMES64("[") TIMES64("]")),
    CASE("as deep as it goes, objects", TIMES64("{\"a\":") "1" TIMES64("}")),
    CASE("deep once, then deep again", "[" TIMES8("[") TIMES8("]") "," TIMES8("[") TIMES8("]") "]"),

    /* arrays */
    CASE("one element", "[1]"),
    CASE("elements of every type", "[null,true,false,0,-1.5e3,\"x\",{},[]]"),
    CASE("several nulls", "[null,null,null,null]"),
    CASE("an array with a space in it", "[ ]"),
    CASE("an array with a newline in it", "[\n]"),
    CASE("arrays in an array", "[[],[[]],[[[]]]]"),
    CASE("an array that ends with an empty string", "[\"a\",\"\"]"),
    CASE("a space before the comma", "[1 ,2]"),
    CASE("the same element twice", "[\"a\",\"a\"]"),
    CASE("objects with the same member in an array", "[{\"a\":1},{\"a\":1}]"),

    /* numbers */
    CASE("zero", "[0]"),
    CASE("minus zero", "[-0]"),
    CASE("minus zero, fraction", "[-0.0]"),
    CASE("minus one", "[-1]"),
    CASE("ten", "[10]"),
    CASE("a zero within", "[1001]"),
    CASE("a fraction", "[3.25]"),
    CASE("a fraction of zero", "[0.5]"),
    CASE("a fraction of zeros", "[1.000]"),
    CASE("a fraction with a zero in front", "[0.05]"),
    CASE("a fraction near zero", "[-0.00000000000000000000000000000000000000000000000000000001]"),
    CASE("a small exponent", "[1e2]"),
    CASE("a capital exponent", "[1E2]"),
    CASE("an exponent with plus", "[1e+2]"),
    CASE("a capital exponent with plus", "[1E+2]"),
    CASE("an exponent with minus", "[1e-2]"),
    CASE("a capital exponent with minus", "[1E-2]"),
    CASE("an exponent of zero", "[1e0]"),
    CASE("an exponent with zeros in front", "[1e007]"),
    CASE("zero with an exponent", "[0e1]"),
    CASE("zero with an exponent and plus", "[0e+1]"),
    CASE("a fraction with an exponent", "[12.75e-3]"),
    CASE("more than 64 bits", "[123456789012345678901234567890]"),
    CASE("less than 64 bits", "[-123456789012345678901234567890]"),
    CASE("the largest of 64 bits", "[18446744073709551615]"),
    CASE("the smallest of 64 bits", "[-9223372036854775808]"),
    CASE("more than a double", "[1.5e9999]"),
    CASE("less than a double", "[-2e+9999]"),
    CASE("nearer to zero than a double", "[4e-99999]"),
    CASE("an exponent of many digits", "[0.1e123456789012345678901234567890]"),
    CASE("more digits than a double has", "[1.00000000000000000000000000000000000001]"),
    CASE("a number ended by a space", "[1 ]"),
    CASE("a number ended by the document", "-12.5E+3"),

    /* objects */
    CASE("one member", "{\"a\":1}"),
    CASE("two members", "{\"a\":1,\"b\":2}"),
    CASE("an empty name", "{\"\":0}"),
    CASE("an empty name beside others", "{\"\":0,\" \":1}"),
    CASE("members of every type",
         "{\"a\":null,\"b\":true,\"c\":false,\"d\":0,\"e\":\"\",\"f\":{},\"g\":[]}"),
    CASE("names that differ in case", "{\"a\":1,\"A\":2}"),
    CASE("names one of which begins the other", "{\"a\":1,\"ab\":2,\"abc\":3}"),
    CASE("names that differ behind a NUL", "{\"a\\u0000b\":1,\"a\\u0000c\":2}"),
    CASE("a name with an escaped NUL", "{\"a\\u0000b\":1}"),
    CASE("the same name at two depths", "{\"a\":{\"a\":{\"a\":1}}}"),
    CASE("the same value twice", "{\"a\":1,\"b\":1}"),
    CASE("a name as long as a line", "{\"" TIMES64("ab") "\":\"" TIMES64("yz") "\"}"),
    CASE("names in other scripts", "{\"\xd0\xbf\xd0\xbe\xd0\xbb\xd0\xb5\":\"\xe7\x94\xb0\"}"),
    CASE("newlines between members", "{\n\"a\":1,\n\"b\":2\n}"),
    CASE("a colon in a name", "{\":\":\":\"}"),
    CASE("names not normalized alike", "{\"\xc3\xa9\":1,\"e\xcc\x81\":2}"),

    /* strings */
    CASE("every short escape", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
    CASE("a slash not escaped", "[\"a/b\"]"),
    CASE("an escaped backslash before the quote", "[\"\\\\\"]"),
    CASE("an escaped backslash before an n", "[\"\\\\n\"]"),
    CASE("two escaped backslashes before a quote", "[\"\\\\\\\\\"]"),
    CASE("an escaped quote alone", "[\"\\\"\"]"),
    CASE("an escaped ASCII letter", "[\"\\u0041\"]"),
    CASE("hex digits in both cases", "[\"\\uAbCd\\uaBcD\"]"),
    CASE("an escaped control character", "[\"\\u0012\"]"),
    CASE("an escaped NUL", "[\"\\u0000\"]"),
    CASE("an escaped DEL", "[\"\\u007f\"]"),
    CASE("an escaped quote by its number", "[\"\\u0022\"]"),
    CASE("an escaped backslash by its number", "[\"\\u005C\"]"),
    CASE("an escaped character of two bytes", "[\"\\u00e9\"]"),
    CASE("an escaped character of three bytes", "[\"\\u20ac\"]"),
    CASE("an escaped pair", "[\"\\uD83D\\uDE00\"]"),
    CASE("the first pair", "[\"\\uD800\\uDC00\"]"),
    CASE("the last pair", "[\"\\uDBFF\\uDFFF\"]"),
    CASE("two pairs", "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"),
    CASE("last before the surrogates", "[\"\\uD7FF\"]"),
    CASE("first behind the surrogates", "[\"\\uE000\"]"),
    CASE("an escaped noncharacter", "[\"\\uFFFF\"]"),
    CASE("an escaped noncharacter of Arabic forms", "[\"\\uFDD0\"]"),
    CASE("an escaped noncharacter of a far plane", "[\"\\uDBFF\\uDFFE\"]"),
    CASE("an escaped byte order mark", "[\"\\uFEFF\"]"),
    CASE("an escaped line separator", "[\"\\u2028\\u2029\"]"),
    CASE("an escaped backslash, then what looks escaped", "[\"\\\\u0041\"]"),
    CASE("a raw DEL", "[\"\x7f\"]"),
    CASE("a raw space", "[\" \"]"),
    CASE("last of one byte, first of two", "[\"\x7f\xc2\x80\"]"),
    CASE("last of two bytes, first of three", "[\"\xdf\xbf\xe0\xa0\x80\"]"),
    CASE("last before the surrogates, raw", "[\"\xed\x9f\xbf\"]"),
    CASE("first behind the surrogates, raw", "[\"\xee\x80\x80\"]"),
    CASE("last of three bytes, first of four", "[\"\xef\xbf\xbf\xf0\x90\x80\x80\"]"),
    CASE("the last character of all", "[\"\xf4\x8f\xbf\xbf\"]"),
    CASE("a raw byte order mark within a string", "[\"\xef\xbb\xbf\"]"),
    CASE("a raw line separator", "[\"\xe2\x80\xa8\xe2\x80\xa9\"]"),
    CASE("a raw no-break space", "[\"a\xc2\xa0z\"]"),
    CASE("a raw emoji", "[\"\xf0\x9f\x98\x80\"]"),
    CASE("what is no comment within a string", "[\"a/*b*/c//d#e\"]"),
    CASE("brackets within a string", "[\"]}[{,:\"]"),
    CASE("single quotes within a string", "[\"it's 'so'\"]"),
    CASE("the replacement character", "[\"\xef\xbf\xbd\"]"),
};

static const struct refused_case refused[] = {
    /* structure: empty, too much, too little */
    SYNTAX("nothing", ""),
    SYNTAX("only a space", " "),
    SYNTAX("only newlines", "\n\n"),
    SYNTAX("only a NUL", "\0"),
    SYNTAX("two objects", "{}{}"),
    SYNTAX("two arrays with a space", "[] []"),
    SYNTAX("two numbers", "1 2"),
    SYNTAX("two lines", "{}\n{}"),
    SYNTAX("two strings", "\"a\"\"b\""),
    SYNTAX("two literals", "true false"),
    SYNTAX("a comma behind", "{},"),
    SYNTAX("a comma before", ",{}"),
    SYNTAX("only a comma", ","),
    SYNTAX("only a colon", ":"),
    SYNTAX("a bracket too many", "[]]"),
    SYNTAX("a brace too many", "{}}"),
    SYNTAX("only a closing bracket", "]"),
    SYNTAX("only a closing brace", "}"),
    SYNTAX("only an opening bracket", "["),
    SYNTAX("only an opening brace", "{"),
    SYNTAX("a bracket closed by a brace", "[}"),
    SYNTAX("a brace closed by a bracket", "{]"),
    SYNTAX("closed in the wrong order", "[{\"a\":1]}"),
    SYNTAX("a NUL behind", "{}\0"),
    SYNTAX("a NUL before", "\0{}"),
    SYNTAX("a NUL in the midst", "[1,\0" "2]"),
    SYNTAX("a NUL behind a number", "12\0"),
    SYNTAX("text behind", "{}x"),
    SYNTAX("a quote behind", "{}\""),
    SYNTAX("a hash behind", "{}#"),
    SYNTAX("a semicolon behind", "{};"),
    SYNTAX("a comment behind", "{} // end"),
    SYNTAX("a block comment behind", "{}/**/"),
    SYNTAX("a block comment before", "/**/{}"),
    SYNTAX("a comment that is not closed", "{}/*"),
    SYNTAX("a slash alone", "{}/"),
    SYNTAX("a hash comment before", "# so\n{}"),
    SYNTAX("an escape outside of a string", "[\\u0020]"),
    SYNTAX("an escaped newline outside of a string", "[\\n]"),
    SYNTAX("a word", "nope"),
    SYNTAX("a word in an array", "[yes]"),
    SYNTAX("an element of XML", "<null>"),
    SYNTAX("in angle brackets", "<[1]>"),
    SYNTAX("in round brackets", "(1)"),
    SYNTAX("an asterisk", "[*]"),
    SYNTAX("an ampersand", "[&a]"),
    SYNTAX("a call", "f({})"),
    SYNTAX("a backslash alone", "\\"),

    /* arrays */
    SYNTAX("a trailing comma", "[1,]"),
    SYNTAX("a trailing comma and a space", "[1, ]"),
    SYNTAX("two trailing commas", "[1,,]"),
    SYNTAX("two commas", "[1,,2]"),
    SYNTAX("a leading comma", "[,1]"),
    SYNTAX("a comma alone", "[,]"),
    SYNTAX("no comma", "[1 2]"),
    SYNTAX("no comma between strings", "[\"a\" \"b\"]"),
    SYNTAX("no comma between arrays", "[[][]]"),
    SYNTAX("no comma behind a string", "[\"a\"1]"),
    SYNTAX("a colon for a comma", "[1:2]"),
    SYNTAX("a member in an array", "[\"a\":1]"),
    SYNTAX("a semicolon for a comma", "[1;2]"),
    SYNTAX("not closed behind a number", "[1"),
    SYNTAX("not closed behind a comma", "[1,"),
    SYNTAX("not closed behind a string", "[\"a\""),
    SYNTAX("not closed behind a newline", "[1,\n2\n,3"),
    SYNTAX("the inner one closed only", "[[]"),
    SYNTAX("an inner comment", "[1,/* two */2]"),
    SYNTAX("an inner line comment", "[1, // one\n2]"),
    SYNTAX("an object not closed in it", "[{"),
    SYNTAX("a comma behind it", "[1],"),
    SYNTAX("a comma and a closing bracket", "[\"\",]"),
    SYNTAX("an ellipsis", "[1,...]"),

    /* numbers */
    SYNTAX("a leading zero", "[012]"),
    SYNTAX("two zeros", "[00]"),
    SYNTAX("a leading zero behind minus", "[-01]"),
    SYNTAX("a leading zero before a fraction", "[00.5]"),
    SYNTAX("a plus", "[+1]"),
    SYNTAX("a plus before zero", "[+0]"),
    SYNTAX("a plus before infinity", "[+Inf]"),
    SYNTAX("two pluses", "[++1]"),
    SYNTAX("two minuses", "[--1]"),
    SYNTAX("plus and minus", "[+-1]"),
    SYNTAX("a minus alone", "[-]"),
    SYNTAX("a minus alone at the end", "-"),
    SYNTAX("a minus and a space", "[- 1]"),
    SYNTAX("a minus and a letter", "[-a]"),
    SYNTAX("a minus behind", "[1-]"),
    SYNTAX("a difference", "[2-1]"),
    SYNTAX("a sum", "[1+1]"),
    SYNTAX("a point before", "[.5]"),
    SYNTAX("a minus and a point before", "[-.5]"),
    SYNTAX("a point behind", "[5.]"),
    SYNTAX("a point behind at the end", "5."),
    SYNTAX("a point behind minus one", "[-1.]"),
    SYNTAX("a point alone", "[.]"),
    SYNTAX("a point and an exponent", "[1.e3]"),
    SYNTAX("a point before an exponent alone", "[.e3]"),
    SYNTAX("two points", "[1.2.3]"),
    SYNTAX("two points in a row", "[1..2]"),
    SYNTAX("a minus behind the point", "[0.-1]"),
    SYNTAX("an exponent without digits", "[1e]"),
    SYNTAX("an exponent without digits at the end", "1e"),
    SYNTAX("a capital exponent without digits", "[0E]"),
    SYNTAX("an exponent with plus alone", "[1e+]"),
    SYNTAX("an exponent with minus alone", "[1e-]"),
    SYNTAX("a capital exponent with plus alone", "[0E+]"),
    SYNTAX("an exponent with both signs", "[1e+-2]"),
    SYNTAX("two exponents", "[1e2e3]"),
    SYNTAX("two letters of the exponent", "[1eE2]"),
    SYNTAX("an exponent with a fraction", "[1e2.5]"),
    SYNTAX("an exponent before a number", "[e5]"),
    SYNTAX("an exponent in brackets", "[1e(2)]"),
    SYNTAX("hexadecimal", "[0x1F]"),
    SYNTAX("hexadecimal without digits", "[0x]"),
    SYNTAX("hexadecimal behind minus", "[-0x1]"),
    SYNTAX("octal", "[0o17]"),
    SYNTAX("binary", "[0b1]"),
    SYNTAX("not a number", "[NaN]"),
    SYNTAX("minus not a number", "[-NaN]"),
    SYNTAX("infinity", "[Infinity]"),
    SYNTAX("minus infinity", "[-Infinity]"),
    SYNTAX("infinity, short", "[inf]"),
    SYNTAX("a space in a number", "[1 000.0]"),
    SYNTAX("an apostrophe in a number", "[1'000]"),
    SYNTAX("an underscore in a number", "[1_000]"),
    SYNTAX("a letter behind", "[1a]"),
    SYNTAX("a suffix", "[1L]"),
    SYNTAX("a letter behind an exponent", "[1e1a]"),
    SYNTAX("a letter behind a fraction", "[1.5f]"),
    SYNTAX("a letter behind minus one", "[-1x]"),
    SYNTAX("a percent sign", "[50%]"),
    SYNTAX("a fullwidth digit", "[\xef\xbc\x91]"),
    SYNTAX("a fullwidth digit behind a digit", "[1\xef\xbc\x91]"),
    SYNTAX("an Arabic digit", "[\xd9\xa1]"),
    SYNTAX("a minus sign that is no hyphen", "[\xe2\x88\x92" "1]"),
    SYNTAX("a NUL within a number", "[1\0" "2]"),
    SYNTAX("a byte that is not UTF-8 behind a number", "[1\xff]"),
    SYNTAX("a byte that is not UTF-8 in an exponent", "[1e1\xe5]"),

    /* objects */
    SYNTAX("single quotes", "{'a':1}"),
    SYNTAX("a value in single quotes", "{\"a\":'b'}"),
    SYNTAX("a name without quotes", "{a:1}"),
    SYNTAX("a number for a name", "{1:1}"),
    SYNTAX("a literal for a name", "{null:1}"),
    SYNTAX("an array for a name", "{[]:1}"),
    SYNTAX("an object for a name", "{{}:1}"),
    SYNTAX("backquotes", "{`a`:1}"),
    SYNTAX("typographic quotes", "{\xe2\x80\x9c" "a\xe2\x80\x9d:1}"),
    SYNTAX("no colon", "{\"a\" 1}"),
    SYNTAX("a comma for the colon", "{\"a\",1}"),
    SYNTAX("two colons", "{\"a\"::1}"),
    SYNTAX("an equals sign", "{\"a\"=1}"),
    SYNTAX("an arrow", "{\"a\"=>1}"),
    SYNTAX("a name alone", "{\"a\"}"),
    SYNTAX("no value", "{\"a\":}"),
    SYNTAX("no value, but another member", "{\"a\":,\"b\":1}"),
    SYNTAX("a value alone", "{:1}"),
    SYNTAX("two values", "{\"a\":1:2}"),
    SYNTAX("two values without a comma", "{\"a\":1 2}"),
    SYNTAX("a second value with a comma", "{\"a\":1,2}"),
    SYNTAX("a trailing comma in an object", "{\"a\":1,}"),
    SYNTAX("trailing commas in an object", "{\"a\":1,,,}"),
    SYNTAX("two commas in an object", "{\"a\":1,,\"b\":2}"),
    SYNTAX("a leading comma in an object", "{,\"a\":1}"),
    SYNTAX("a comma alone in an object", "{,}"),
    SYNTAX("no comma between members", "{\"a\":1 \"b\":2}"),
    SYNTAX("a comment for a member", "{\"a\":1,/*b*/}"),
    SYNTAX("a comment before the colon", "{\"a\"/*b*/:1}"),
    SYNTAX("a comment behind the object", "{\"a\":1}//"),
    SYNTAX("not closed behind its brace", "{ "),
    SYNTAX("not closed behind a name", "{\"a\""),
    SYNTAX("not closed behind the colon", "{\"a\":"),
    SYNTAX("not closed behind a value", "{\"a\":1"),
    SYNTAX("not closed behind a comma", "{\"a\":1,"),
    SYNTAX("not closed within a name", "{\"a"),
    SYNTAX("a spread", "{...b}"),
    SYNTAX("a name with a bad escape", "{\"\\x\":1}"),
    TWICE("a member twice", "{\"a\":1,\"a\":2}"),
    TWICE("a member twice, the same value", "{\"a\":1,\"a\":1}"),
    TWICE("a member twice, apart", "{\"a\":1,\"b\":{\"a\":1},\"a\":3}"),
    TWICE("a member twice, once escaped", "{\"a\":1,\"\\u0061\":2}"),
    TWICE("a member twice, escaped in two ways", "{\"\\/\":1,\"\\u002F\":2}"),
    TWICE("a member twice, a pair and its character",
          "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"),
    TWICE("an empty name twice", "{\"\":1,\"\":2}"),
    TWICE("a member twice in an inner object", "[{\"a\":{\"b\":1,\"b\":1}}]"),

    /* strings */
    SYNTAX("a quote alone", "\""),
    SYNTAX("not ended", "[\"a]"),
    SYNTAX("ended by an escaped quote", "[\"a\\\"]"),
    SYNTAX("ends with a backslash", "[\"a\\"),
    SYNTAX("three backslashes and a quote", "[\"\\\\\\\"]"),
    SYNTAX("begun by a quote, ended by another", "[\"a']"),
    SYNTAX("in single quotes", "['a']"),
    SYNTAX("an escaped letter", "[\"\\a\"]"),
    SYNTAX("an escaped x", "[\"\\x41\"]"),
    SYNTAX("an escaped zero", "[\"\\0\"]"),
    SYNTAX("an escaped digit", "[\"\\101\"]"),
    SYNTAX("an escaped v", "[\"\\v\"]"),
    SYNTAX("an escaped single quote", "[\"\\'\"]"),
    SYNTAX("an escaped space", "[\"\\ \"]"),
    SYNTAX("an escaped newline", "[\"a\\\nb\"]"),
    SYNTAX("an escaped tab", "[\"\\\t\"]"),
    SYNTAX("an escaped raw NUL", "[\"\\\0\"]"),
    SYNTAX("a capital N escaped", "[\"\\N\"]"),
    SYNTAX("a capital U escaped", "[\"\\U0041\"]"),
    SYNTAX("an escaped character of many bytes", "[\"\\\xf0\x9f\x98\x80\"]"),
    SYNTAX("no hex digits", "[\"\\u\"]"),
    SYNTAX("one hex digit", "[\"\\u1\"]"),
    SYNTAX("three hex digits", "[\"\\u00A\"]"),
    SYNTAX("hex digits cut by the end", "[\"\\u00"),
    SYNTAX("a letter behind f", "[\"\\u00g0\"]"),
    SYNTAX("a first digit that is none", "[\"\\uX041\"]"),
    SYNTAX("a last digit that is none", "[\"\\u004/\"]"),
    SYNTAX("a last digit just behind 9", "[\"\\u004:\"]"),
    SYNTAX("a last digit just before A", "[\"\\u004@\"]"),
    SYNTAX("a last digit just before a", "[\"\\u004`\"]"),
    SYNTAX("braces of hex digits", "[\"\\u{41}\"]"),
    SYNTAX("a plus of hex digits", "[\"\\u+041\"]"),
    SYNTAX("a minus of hex digits", "[\"\\u-041\"]"),
    SYNTAX("a space of hex digits", "[\"\\u 041\"]"),
    SYNTAX("a fullwidth hex digit", "[\"\\u004\xef\xbc\x91\"]"),
    SYNTAX("a lone high surrogate", "[\"\\uD800\"]"),
    SYNTAX("a lone high surrogate before text", "[\"\\uD83Dabc\"]"),
    SYNTAX("a lone high surrogate before an escape", "[\"\\uD83D\\n\"]"),
    SYNTAX("a lone high surrogate before a letter", "[\"\\uD83D\\u0041\"]"),
    SYNTAX("two high surrogates", "[\"\\uD800\\uD800\"]"),
    SYNTAX("a lone low surrogate", "[\"\\uDC00\"]"),
    SYNTAX("the last low surrogate alone", "[\"\\udfff\"]"),
    SYNTAX("a pair in the wrong order", "[\"\\uDC00\\uD800\"]"),
    SYNTAX("a pair, then a high surrogate", "[\"\\uD800\\uDC00\\uD800\"]"),
    SYNTAX("a pair cut in its second half", "[\"\\uD800\\u\"]"),
    SYNTAX("a pair with a bad digit", "[\"\\uD800\\uDC0x\"]"),
    SYNTAX("a high surrogate before a backslash", "[\"\\uD800\\\"]"),
    SYNTAX("a surrogate in a name", "{\"\\uD800\":1}"),
    SYNTAX("a raw newline", "[\"a\nb\"]"),
    SYNTAX("a raw tab", "[\"\t\"]"),
    SYNTAX("a raw carriage return", "[\"a\rb\"]"),
    SYNTAX("a raw NUL", "[\"a\0b\"]"),
    SYNTAX("a raw bell", "[\"\x07\"]"),
    SYNTAX("a raw backspace", "[\"\b\"]"),
    SYNTAX("a raw escape character", "[\"\x1b[0m\"]"),
    SYNTAX("the last control character", "[\"\x1f\"]"),
    SYNTAX("a raw newline in a name", "{\"a\n\":1}"),
    SYNTAX("a string without its first quote", "[a\"]"),
    SYNTAX("text behind a string", "[\"a\"b]"),
    SYNTAX("a sum of strings", "[\"a\"+\"b\"]"),

    /* strings that are not UTF-8 */
    UTF8("a continuation alone", "[\"\x80\"]"),
    UTF8("the last continuation alone", "[\"\xbf\"]"),
    UTF8("a continuation too many", "[\"\xc3\xa9\xa9\"]"),
    UTF8("Latin-1", "[\"caf\xe9\"]"),
    UTF8("0xFF", "[\"\xff\"]"),
    UTF8("0xFE", "[\"\xfe\"]"),
    UTF8("a slash of two bytes", "[\"\xc0\xaf\"]"),
    UTF8("a NUL of two bytes", "[\"\xc0\x80\"]"),
    UTF8("the last overlong of two bytes", "[\"\xc1\xbf\"]"),
    UTF8("a quote of two bytes", "[\"\xc0\xa2\"]"),
    UTF8("a slash of three bytes", "[\"\xe0\x80\xaf\"]"),
    UTF8("the last overlong of three bytes", "[\"\xe0\x9f\xbf\"]"),
    UTF8("a slash of four bytes", "[\"\xf0\x80\x80\xaf\"]"),
    UTF8("the last overlong of four bytes", "[\"\xf0\x8f\xbf\xbf\"]"),
    UTF8("a character of five bytes", "[\"\xf8\x88\x80\x80\x80\"]"),
    UTF8("a character of six bytes", "[\"\xfc\x84\x80\x80\x80\x80\"]"),
    UTF8("the first surrogate, raw", "[\"\xed\xa0\x80\"]"),
    UTF8("the last surrogate, raw", "[\"\xed\xbf\xbf\"]"),
    UTF8("a pair of surrogates, raw", "[\"\xed\xa0\xbd\xed\xb8\x80\"]"),
    UTF8("behind the last character", "[\"\xf4\x90\x80\x80\"]"),
    UTF8("far behind the last character", "[\"\xf7\xbf\xbf\xbf\"]"),
    UTF8("one of two bytes", "[\"\xc3\"]"),
    UTF8("one of three bytes", "[\"\xe2\"]"),
    UTF8("two of three bytes", "[\"\xe2\x82\"]"),
    UTF8("three of four bytes", "[\"\xf0\x9f\x98\"]"),
    UTF8("a character cut by another", "[\"\xe2\x82\xc3\xa9\"]"),
    UTF8("a character cut by text", "[\"\xf0\x9f" "ab\"]"),
    UTF8("a character cut by an escape", "[\"\xc3\\n\"]"),
    UTF8("a name that is not UTF-8", "{\"\xff\":1}"),
    UTF8("an escape, then what is not UTF-8", "[\"\\u0041\xe9\"]"),

    /* white space that is none */
    SYNTAX("a form feed", "[\f1]"),
    SYNTAX("a vertical tab", "[\v1]"),
    SYNTAX("a backspace", "[1\b]"),
    SYNTAX("a DEL", "[1\x7f]"),
    SYNTAX("a no-break space", "[\xc2\xa0" "1]"),
    SYNTAX("a next line", "[\xc2\x85" "1]"),
    SYNTAX("an Ogham space", "[\xe1\x9a\x80" "1]"),
    SYNTAX("an en quad", "[\xe2\x80\x80" "1]"),
    SYNTAX("a space without width", "[1\xe2\x80\x8b]"),
    SYNTAX("a line separator", "[1\xe2\x80\xa8]"),
    SYNTAX("a word joiner", "[\xe2\x81\xa0]"),
    SYNTAX("an ideographic space", "{}\xe3\x80\x80"),
    SYNTAX("a byte order mark", "\xef\xbb\xbf{}"),
    SYNTAX("only a byte order mark", "\xef\xbb\xbf"),
    UTF8("half a byte order mark", "\xef\xbb{}"),
    SYNTAX("a byte order mark behind", "{}\xef\xbb\xbf"),
    UTF8("a byte order mark of UTF-16", "\xff\xfe{\0}\0"),
    SYNTAX("UTF-16, the low byte first", "{\0}\0"),
    SYNTAX("UTF-16, the high byte first", "\0{\0}"),

    /* literals */
    SYNTAX("True", "[True]"),
    SYNTAX("TRUE", "[TRUE]"),
    SYNTAX("FALSE", "FALSE"),
    SYNTAX("False", "{\"a\":False}"),
    SYNTAX("Null", "[Null]"),
    SYNTAX("nULL", "[nULL]"),
    SYNTAX("tru", "[tru]"),
    SYNTAX("tru at the end", "tru"),
    SYNTAX("fals", "[fals]"),
    SYNTAX("nul", "[nul]"),
    SYNTAX("n at the end", "[n"),
    SYNTAX("truth", "[truth]"),
    SYNTAX("nully", "[nully]"),
    SYNTAX("true1", "[true1]"),
    SYNTAX("truefalse", "[truefalse]"),
    SYNTAX("nil", "[nil]"),
    SYNTAX("None", "[None]"),
    SYNTAX("undefined", "[undefined]"),
    SYNTAX("minus true", "[-true]"),
    SYNTAX("true and a NUL", "[true\0]"),
    SYNTAX("a literal in two parts", "[nu ll]"),

    /* depth */
    DEPTH("arrays one too deep", TIMES64("[") "[]" TIMES64("]")),
    DEPTH("objects one too deep", TIMES64("{\"a\":") "{}" TIMES64("}")),
    DEPTH("an object one too deep in arrays", TIMES64("[") "{}" TIMES64("]")),
    DEPTH("far too deep, and open", TIMES8(TIMES64("["))),
    DEPTH("far too deep, both, and open", TIMES8(TIMES64("[{\"\":"))),
    SYNTAX("as deep as it goes, and open", TIMES64("[")),
    SYNTAX("as deep as it goes, objects, and open", TIMES64("{\"a\":")),
};

/** Both ways: the reader of events makes the same tokens as jsmn, and refuses the same. Of several
 * mistakes they may name different ones. */
static int parse(const char *text, size_t len, struct json_error *err)
{
    struct json_doc d, fast;
    int result = json_parse(&d, text, len, tokens, TOKENS, JSON_MAX_DEPTH, err);

    if (!IS_ENABLED(CONFIG_JSON_FAST))
        return result;
    int again = json_parse_fast(&fast, text, len, fast_tokens, TOKENS, JSON_MAX_DEPTH, NULL);
    (void)check_int(again < 0, result < 0, __FILE__, __LINE__, text);
    if (result == 0 && again == 0 && check_int(fast.count, d.count, __FILE__, __LINE__, text))
        (void)check_int(memcmp(tokens, fast_tokens, d.count * sizeof tokens[0]), 0, __FILE__,
                        __LINE__, text);
    return result;
}

TEST(what_the_rfc_allows_is_taken)
{
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        const struct text_case *c = &accepted[i];
        (void)check_int(parse(c->text, c->len, NULL), 0, __FILE__, __LINE__, c->name);
    }
}

TEST(what_the_rfc_forbids_is_refused)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const struct refused_case *c = &refused[i];
        struct json_error err = {.offset = SIZE_MAX};
        (void)check_int(parse(c->text, c->len, &err), c->err, __FILE__, __LINE__, c->name);
        (void)check_true(err.offset <= c->len && err.line > 0 && err.what, __FILE__, __LINE__,
                         c->name);
    }
}

/** A document that does not end yet is none: all that begins a good one is refused, but for numbers
 * and what is followed by white space. */
TEST(what_is_cut_is_refused)
{
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        const struct text_case *c = &accepted[i];
        size_t start = strspn(c->text, " \t\r\n"), end = c->len;

        while (end > 0 && strchr(" \t\r\n", c->text[end - 1]))
            end--;
        if (c->text[start] == '-' || (c->text[start] >= '0' && c->text[start] <= '9'))
            continue;
        for (size_t len = 0; len < end; len++)
            (void)check_true(parse(c->text, len, NULL) < 0, __FILE__, __LINE__, c->name);
    }
}

TEST(there_are_enough_of_them)
{
    CHECK(sizeof accepted / sizeof accepted[0] >= 100);
    CHECK(sizeof refused / sizeof refused[0] >= 200);
}

TEST_MAIN(what_the_rfc_allows_is_taken, what_the_rfc_forbids_is_refused, what_is_cut_is_refused,
          there_are_enough_of_them)
