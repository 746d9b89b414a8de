-- The largest error against published packages, per file and group of values: alone, and relative to the largest
-- magnitude of the tensor. Names what is not compared. Needs the reference values.
local golden = require "support.golden"

if not golden.present() then return end

local LINE = "%-10s %-30s %6s %14s %14s %10s  %s"

local function groups_of(rows)
  local groups, order = {}, {}
  for _, row in ipairs(rows) do
    local group = groups[row.group]
    if not group then
      group = { name = row.group, count = 0, absolute = 0, distance = -1, tolerance = row.tolerance }
      groups[row.group] = group
      order[#order + 1] = group
    end
    group.count = group.count + 1
    group.absolute = math.max(group.absolute, row.absolute)
    if row.distance > group.distance then group.distance, group.at = row.distance, row.name end
  end
  table.sort(order, function(a, b) return a.name < b.name end)
  return order
end

local function short(number) return ("%.2g"):format(number) end

local compared, left, outside = 0, 0, 0
print(LINE:format("file", "group", "values", "absolute error", "relative error", "tolerance", "largest at"))
for _, file in ipairs(golden.files) do
  local rows = golden.rows(file)
  for _, group in ipairs(groups_of(rows)) do
    print(LINE:format(file, group.name, group.count, short(group.absolute), short(group.distance),
      short(group.tolerance), group.at))
    if group.distance > group.tolerance then outside = outside + 1 end
  end
  for _, name in ipairs(golden.missing(file, rows)) do
    print(LINE:format(file, name, 0, "", "", "", "not compared: " .. (golden.excuse(name) or "forgotten")))
    left = left + 1
  end
  compared = compared + #rows
end
print(("%d tensors compared, %d not compared; %d groups outside their tolerance"):format(compared, left, outside))
