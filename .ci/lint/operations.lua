-- Every row of ops.def, SC_OP(name, "what it does"), says what the operation does, has a spec and can be exported.
local list = "csrc/op/ops.def"
local rules = "lua/secateur/formats/onnx_operations.lua"

-- Specs of several operations each: a table names them, one row { op = "name", ... } a line. Others have a spec of
-- their own, spec/op/NAME_spec.lua.
local tables = { "spec/op/activations_spec.lua" }

-- Operation -> the spec whose table names it.
local function tabulated(root, source)
  local specs = {}
  for _, path in ipairs(tables) do
    local text = source.exists(root, path) and source.read(root, path) or ""
    for _, line in ipairs(source.lines(source.without_lua_comments(text))) do
      local name = line:match '^%s*{%s*op%s*=%s*"([%w_]+)"%s*[,}]'
      if name then specs[name] = path end
    end
  end
  return specs
end

return function(root, report, source)
  if not source.exists(root, list) then return end
  local rows, specs = 0, tabulated(root, source)
  local export = source.exists(root, rules) and source.without_lua_comments(source.read(root, rules)) or ""
  for number, line in ipairs(source.lines(source.without_c_comments(source.read(root, list)))) do
    local name, rest = line:match("^%s*SC_OP%s*%(%s*([%w_]+)%s*(.*)$")
    if name then
      rows = rows + 1
      local doc = rest:match('^,%s*"([^"]*)"')
      if not doc or not doc:find("%w") then report(list, number, name .. " does not say what it does") end
      local spec = ("spec/op/%s_spec.lua"):format(name)
      if not source.exists(root, spec) and not specs[name] then
        local message = "%s has no spec: neither %s nor a row in %s"
        report(list, number, message:format(name, spec, table.concat(tables, ", ")))
      end
      if not export:find(("\nfunction operations.%s("):format(name), 1, true) then
        report(list, number, ("%s has no ONNX form in %s"):format(name, rules))
      end
    end
  end
  if rows == 0 then report(list, 1, "has no row SC_OP(name, \"what it does\")") end
end
