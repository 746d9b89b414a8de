-- The largest relative error against published packages, per file and group of values. Needs the reference values.
local golden = require "support.golden"

if not golden.present() then return end

print(("%-10s %-30s %6s %14s %10s  %s"):format("file", "group", "values", "largest error", "tolerance", "at"))
for _, file in ipairs(golden.files) do
  local groups, order = {}, {}
  for _, row in ipairs(golden.rows(file)) do
    local group = groups[row.group]
    if not group then
      group = { count = 0, distance = -1, tolerance = row.tolerance }
      groups[row.group] = group
      order[#order + 1] = row.group
    end
    group.count = group.count + 1
    if row.distance > group.distance then group.distance, group.name = row.distance, row.name end
  end
  table.sort(order)
  for _, name in ipairs(order) do
    local group = groups[name]
    print(("%-10s %-30s %6d %14.2g %10.2g  %s"):format(file, name, group.count, group.distance, group.tolerance,
      group.name))
  end
end
