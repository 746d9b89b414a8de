-- Every row of ops.def, SC_OP(name, "what it does"), says what the operation does and has a spec.
local list = "csrc/op/ops.def"

return function(root, report, source)
  if not source.exists(root, list) then return end
  local rows = 0
  for number, line in ipairs(source.lines(source.without_c_comments(source.read(root, list)))) do
    local name, rest = line:match("^%s*SC_OP%s*%(%s*([%w_]+)%s*(.*)$")
    if name then
      rows = rows + 1
      local doc = rest:match('^,%s*"([^"]*)"')
      if not doc or not doc:find("%w") then report(list, number, name .. " does not say what it does") end
      local spec = ("spec/op/%s_spec.lua"):format(name)
      if not source.exists(root, spec) then report(list, number, ("%s has no spec, %s"):format(name, spec)) end
    end
  end
  if rows == 0 then report(list, 1, "has no row SC_OP(name, \"what it does\")") end
end
