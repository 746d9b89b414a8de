-- Runs busted under the interpreter that runs this file; the `busted` command may belong to another version of Lua.
require "busted.runner" { standalone = false }
