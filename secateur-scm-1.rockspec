rockspec_format = "3.0"
package = "secateur"
version = "scm-1"
source = {
  url = "git+file://.", -- for `luarocks make` in a checkout
}
description = {
  summary = "Interpretability-aware pruning of image classifiers",
  detailed = [[
Scores every neuron of a trained image classifier by how much it contributes to the predictions (LRP, DL-Backtrace,
Integrated Gradients), removes the least relevant ones, and shows what that costs. A Lua module with a C core, for one
machine without a GPU.]],
  license = "MIT",
  labels = { "machine-learning", "pruning", "explainability", "medical-imaging" },
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.4, < 5.5",
  "argparse >= 0.7",
  "luafilesystem >= 1.8",
}
test_dependencies = { "busted >= 2.0" }
test = { type = "command", command = "make test" }
build = {
  type = "make",
  build_target = "module",
  build_variables = {
    BUILD = "build/rock",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    BUILD = "build/rock",
    LUA_INCDIR = "$(LUA_INCDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
  },
  copy_directories = { "examples" },
}
