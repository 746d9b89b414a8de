-- Every row of ops.def, SC_OP(name, "what it does"), says what the operation does, has a spec and can be exported.
local list = "csrc/op/ops.def"
local rules = "lua/secateur/formats/onnx_operations.lua"

return function(root, report, source)
  if not source.exists(root, list) then return end
  local rows = 0
  local export = source.exists(root, rules) and source.without_lua_comments(source.read(root, rules)) or ""
  for number, line in ipairs(source.lines(source.without_c_comments(source.read(root, list)))) do
    local name, rest = line:match("^%s*SC_OP%s*%(%s*([%w_]+)%s*(.*)$")
    if name then
      rows = rows + 1
      local doc = rest:match('^,%s*"([^"]*)"')
      if not doc or not doc:find("%w") then report(list, number, name .. " does not say what it does") end
      local spec = ("spec/op/%s_spec.lua"):format(name)
      if not source.exists(root, spec) then report(list, number, ("%s has no spec, %s"):format(name, spec)) end
      if not export:find(("\nfunction operations.%s("):format(name), 1, true) then
        report(list, number, ("%s has no ONNX form in %s"):format(name, rules))
      end
    end
  end
  if rows == 0 then report(list, 1, "has no row SC_OP(name, \"what it does\")") end
end
