-- The largest error against published packages, per file and group of values: alone, and relative to the largest
-- magnitude of the tensor. First the reference values outside the repository, where they are, then the random networks
-- of spec/fixtures, in float and in double. Names what is not compared.
local golden = require "support.golden"
local lfs = require "lfs"
local peers = require "support.peers"

local LINE = "%-12s %-30s %6s %14s %14s %10s  %s"

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
    if row.distance > group.distance then group.distance, group.at = row.distance, row.at or row.name end
  end
  table.sort(order, function(a, b) return a.name < b.name end)
  return order
end

local function short(number) return ("%.2g"):format(number) end

local total = { compared = 0, left = 0, outside = 0 }

local function show(file, rows)
  for _, group in ipairs(groups_of(rows)) do
    print(LINE:format(file, group.name, group.count, short(group.absolute), short(group.distance),
      short(group.tolerance), group.at))
    if group.distance > group.tolerance then total.outside = total.outside + 1 end
  end
  total.compared = total.compared + #rows
end

local function leave_out(file, name, reason)
  print(LINE:format(file, name, 0, "", "", "", "not compared: " .. reason))
  total.left = total.left + 1
end

print(LINE:format("file", "group", "values", "absolute error", "relative error", "tolerance", "largest at"))
for _, file in ipairs(golden.files) do
  if lfs.attributes(golden.path(file)) then
    local rows = golden.rows(file)
    show(file, rows)
    for _, name in ipairs(golden.missing(file, rows)) do leave_out(file, name, "forgotten") end
  else
    leave_out(file, "", "there is no " .. golden.path(file))
  end
end

local by_build = { float = {}, double = {} }
for _, net in ipairs(peers.networks()) do
  local all = {}
  for _, method in ipairs(peers.methods(net)) do
    for _, row in ipairs(peers.rows(net, method)) do
      row.at = row.file .. " " .. row.name
      all[#all + 1] = row
      table.insert(by_build[row.build], row)
    end
  end
  for _, name in ipairs(peers.missing(net, all)) do leave_out("attributions", net.name .. "/" .. name, "forgotten") end
end
show("float", by_build.float)
show("double", by_build.double)
print(("%d tensors compared, %d not compared; %d groups outside their tolerance"):format(total.compared, total.left,
  total.outside))
