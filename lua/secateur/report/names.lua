--- Methods, samplings, repairs and rates as they are written in tables and figures.
-- @module secateur.report.names
local names = {}

--- A method as it is written in the paper: short names in capitals.
-- @string method
-- @treturn string
function names.method(method)
  return #method <= 3 and method:upper() or method
end

local repairs = { none = "none", bias = "bias", batch_norm = "batch-norm statistics",
  least_squares = "least squares" }

--- A repair as it is written: "least squares".
-- @string repair
-- @treturn string
function names.repair(repair) return repairs[repair] or repair end

--- A way of scoring as it is written: the method, and whether redundancy counts.
-- @tab scoring `method`, `redundancy`
-- @treturn string
function names.scoring(scoring)
  return names.method(scoring.method) .. (scoring.redundancy and " with redundancy" or "")
end

--- A rate as text: 0.15, 0.5, 0.125.
-- @number rate
-- @treturn string
function names.rate(rate)
  local text = ("%.4f"):format(rate):gsub("0+$", "")
  return #text < 4 and ("%.2f"):format(rate) or text
end

--- A number with what is counted: "1 seed", "3 seeds".
-- @int count
-- @string noun
-- @treturn string
function names.count(count, noun) return ("%d %s%s"):format(count, noun, count == 1 and "" or "s") end

--- A number of three digits behind the point, never a minus before zero.
-- @number value
-- @treturn string
function names.number(value)
  local text = ("%.3f"):format(value)
  return text == "-0.000" and "0.000" or text
end

--- A list in a sentence: "a, b and c".
-- @tab list of strings
-- @treturn string
function names.list(list)
  if #list < 2 then return list[1] or "" end
  return table.concat(list, ", ", 1, #list - 1) .. " and " .. list[#list]
end

-- What names a line of a table: its heads, and of which lines they are said.
local columns = {
  { "Method", function(each) return names.method(each.method) end, "method" },
  { "Redundancy", function(each) return each.redundancy and "yes" or "no" end, "redundancy" },
  { "Sampling", function(each) return each.sampling end, "sampling" },
  { "Repair", function(each) return names.repair(each.repair) end, "repair" },
}

--- The columns that name the lines of a table: the method, the sampling, and the axes that vary.
-- @tab shown axis → whether it is shown (`redundancy`, `sampling`, `repair`)
-- @treturn {string,...} their headings
-- @treturn func of a line (`method`, `redundancy`, `sampling`, `repair`) to its names
function names.columns(shown)
  local heads, used = {}, {}
  for _, column in ipairs(columns) do
    if column[3] == "method" or shown[column[3]] then
      heads[#heads + 1], used[#used + 1] = column[1], column[2]
    end
  end
  return heads, function(line)
    local list = {}
    for i, text in ipairs(used) do list[i] = text(line) end
    return list
  end
end

return names
