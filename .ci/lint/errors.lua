-- Messages are raised in one place on each side, which adds the position of the user's call: lua/secateur by
-- util/errors, which writes warnings too and makes names visible; csrc/lua by support.c. What stands
-- beside the core (cpu.c, which is loaded before it, and mpi.c) has luaL_error alone.
local sides = {
  {
    dir = "lua/secateur",
    extensions = { lua = true },
    strip = "without_lua_comments",
    pattern = "%f[%w_.:\"']error%f[^%w_]",
    allowed = { ["lua/secateur/util/errors.lua"] = true },
    message = "calls error: secateur.util.errors raises messages",
  },
  {
    dir = "lua/secateur",
    extensions = { lua = true },
    strip = "without_lua_comments",
    pattern = "%f[%w_.:\"']io%.stderr%s*:%s*write%f[^%w_]",
    allowed = { ["lua/secateur/util/errors.lua"] = true, ["lua/secateur/util/main.lua"] = true },
    message = "writes to stderr: errors.warn of secateur.util.errors makes names visible",
  },
  {
    dir = "csrc/lua",
    extensions = { c = true, h = true },
    strip = "without_c_comments",
    pattern = "%f[%w_]luaL_error%f[^%w_]",
    allowed = { ["csrc/lua/support.c"] = true, ["csrc/lua/cpu.c"] = true, ["csrc/lua/mpi.c"] = true },
    message = "calls luaL_error: sc_lua_fail raises messages",
  },
}

return function(root, report, source)
  for _, side in ipairs(sides) do
    for _, path in ipairs(source.list(root, side.dir, side.extensions)) do
      local text = side.allowed[path] and "" or source[side.strip](source.read(root, path))
      for number, line in ipairs(source.lines(text)) do
        -- a call's arguments follow: in Lua also a string or a table
        for _, last in line:gmatch("()" .. side.pattern .. "()") do
          if line:find("^%s*[(\"'{%[]", last) then report(path, number, side.message) end
        end
      end
    end
  end
end
