--- Checks option tables and arguments at the boundary, with one grammar for all messages:
-- `function: argument: expected X, got Y`.
-- @module secateur.util.options
local errors = require "secateur.util.errors"

local options = {}

--- Describes a value for an error message: numbers, booleans and short strings by value, the rest by type.
-- @param value anything
-- @treturn string
function options.describe(value)
  local kind = math.type(value) or type(value)
  if kind == "string" then
    return #value <= 60 and ("'%s'"):format(value) or ("a string of %d bytes"):format(#value)
  elseif kind == "integer" or kind == "float" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  local meta = getmetatable(value)
  return "a " .. (type(meta) == "table" and rawget(meta, "__name") or kind)
end

-- How many entries of a table a message shows.
local SHOWN = 8

--- The same, but of a small table of numbers, booleans and short strings, all of them: { 0.9, 9 }, { macs = 50 }.
-- @param value anything
-- @treturn string
function options.show(value)
  if type(value) ~= "table" or getmetatable(value) then return options.describe(value) end
  local parts, keys = {}, {}
  for i, entry in ipairs(value) do parts[i] = options.describe(entry) end
  for key, entry in pairs(value) do
    local place = math.type(key) == "integer" and key >= 1 and key <= #parts
    if not place and type(key) ~= "string" or type(entry) == "table" or type(entry) == "userdata" then
      return options.describe(value)
    end
    if not place then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = ("%s = %s"):format(key, options.describe(value[key])) end
  if #parts == 0 or #parts > SHOWN then return options.describe(value) end
  return ("{ %s }"):format(table.concat(parts, ", "))
end

--- Values as a message lists them: each described, with commas.
-- @tparam {...} list
-- @treturn string
function options.describe_all(list)
  local described = {}
  for i, value in ipairs(list) do described[i] = options.describe(value) end
  return table.concat(described, ", ")
end

--- The keys of a table, sorted: what messages list, and what loops go by whose order must not vary.
-- @tab set keys are all strings, or all numbers
-- @treturn list
function options.sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- Letters and digits alone, small: what people mix up is the rest.
local function plain(word) return (word:lower():gsub("[%s_%-%.]", "")) end

-- Whether one letter more, less, or other, or two neighbours exchanged make one word of the other. Another digit makes
-- another name.
local function is_near(a, b)
  if #a > #b then a, b = b, a end
  if #b - #a > 1 or #b < 4 then return false end
  local same = 1
  while same <= #a and a:byte(same) == b:byte(same) do same = same + 1 end
  if b:find("^%d", same) then return false end
  if #a < #b then return a:sub(same) == b:sub(same + 1) end
  return a:sub(same + 1) == b:sub(same + 1)
    or a:sub(same + 2) == b:sub(same + 2) and a:sub(same, same + 1) == b:sub(same, same + 1):reverse()
end

--- The end of a message about a word that is none of those known: "; did you mean 'lrp'?", or nothing.
-- @param word
-- @tparam {string,...}|string known a list, or a text in which words stand in double quotes
-- @treturn string
function options.suggest(word, known)
  if type(word) ~= "string" then return "" end
  if type(known) == "string" then
    local quoted = {}
    for other in known:gmatch '"([^"]+)"' do quoted[#quoted + 1] = other end
    known = quoted
  end
  local found
  for _, other in ipairs(known) do
    if type(other) == "string" then
      if plain(other) == plain(word) then return ("; did you mean '%s'?"):format(other) end
      if is_near(plain(word), plain(other)) then found = found or other end
    end
  end
  return found and ("; did you mean '%s'?"):format(found) or ""
end

--- The end of a message about a number that looks like percent where a share is expected, or nothing.
-- @param value
-- @treturn string
function options.percent(value)
  if not math.type(value) or not (value >= 5 and value <= 100) then return "" end
  return ("; %g %% is %g"):format(value, value / 100)
end

local function range(rule)
  if rule.min and rule.max then return (" in [%s, %s]"):format(rule.min, rule.max) end
  if rule.min and rule.below then return (" in [%s, %s)"):format(rule.min, rule.below) end
  if rule.above and rule.max then return (" in (%s, %s]"):format(rule.above, rule.max) end
  if rule.above and rule.below then return (" in (%s, %s)"):format(rule.above, rule.below) end
  if rule.min then return (" of at least %s"):format(rule.min) end
  if rule.above then return (" above %s"):format(rule.above) end
  if rule.max then return (" of at most %s"):format(rule.max) end
  if rule.below then return (" below %s"):format(rule.below) end
  return ""
end

local function in_range(rule, value)
  return value == value and not (rule.min and value < rule.min) and not (rule.max and value > rule.max)
    and not (rule.above and value <= rule.above) and not (rule.below and value >= rule.below)
end

local articles = { integer = "a whole number", number = "a number", string = "a string", boolean = "a boolean",
  table = "a table", list = "a list", ["function"] = "a function", userdata = "a userdata" }

-- Each gives the value (perhaps converted), or nil and what was expected.
local checks = {}

function checks.integer(rule, value)
  local whole = math.type(value) and math.tointeger(value)
  if whole and in_range(rule, whole) then return whole end
  return nil, "a whole number" .. range(rule)
end

function checks.number(rule, value)
  if math.type(value) and in_range(rule, value) then return value end
  return nil, "a number" .. range(rule)
end

function checks.list(rule, value)
  local count = 0
  for key in pairs(type(value) == "table" and value or {}) do
    count = math.type(key) == "integer" and key >= 1 and key <= #value and count + 1 or math.huge
  end
  if type(value) == "table" and count == #value and count >= (rule.least or 0) then return value end
  return nil, rule.least and ("a list of at least %d"):format(rule.least) or "a list"
end

local function check_value(rule, value)
  if rule.one_of then
    for _, allowed in ipairs(rule.one_of) do
      if value == allowed then return value end
    end
    return nil, "one of " .. options.describe_all(rule.one_of)
  end
  return nil
end

local function check_type(rule, value)
  local kinds = type(rule.type) == "table" and rule.type or { rule.type }
  local expected = {}
  for i, kind in ipairs(kinds) do
    if checks[kind] then
      local checked, wanted = checks[kind](rule, value)
      if checked ~= nil then return checked end
      expected[i] = wanted
    elseif type(value) == kind then
      return value
    else
      expected[i] = articles[kind]
    end
  end
  return nil, table.concat(expected, " or ")
end

--- Checks one value against a rule; raises.
-- A rule is a table: `type` (a type name, "integer", "number" or "list", or a list of these), `one_of` (a list of
-- values), `min`, `max`, `above`, `below` (for numbers), `least` (entries of a list), `default`, `required`, `check` (a
-- function that gives true, or false and what was expected), `renamed` (words that were values once, to what they are
-- called now).
-- @string name the public function
-- @string argument
-- @param value
-- @tab rule
-- @return the value, or the rule's default where it is nil
function options.value(name, argument, value, rule)
  if value == nil then
    if rule.required then errors.refuse(name, argument .. ": missing") end
    return rule.default
  end
  local now = rule.renamed and rule.renamed[value]
  if now then errors.refuse(name, "%s: '%s' is called '%s' now", argument, value, now) end
  local checked, expected = value, nil
  if rule.one_of then checked, expected = check_value(rule, value) end
  if rule.type and (not rule.one_of or checked == nil) then
    local by_type, wanted = check_type(rule, value)
    checked, expected = by_type, expected and wanted and expected .. " or " .. wanted or wanted
  end
  if checked == nil then
    local is_share = (rule.max or rule.below) == 1 and (rule.min or rule.above)
    errors.refuse(name, "%s: expected %s, got %s%s", argument, expected, options.show(value),
      rule.one_of and options.suggest(value, rule.one_of) or is_share and options.percent(value) or "")
  end
  if rule.check then
    local good, wanted = rule.check(checked)
    if not good then
      errors.refuse(name, "%s: expected %s, got %s%s", argument, wanted, options.show(value),
        options.suggest(value, wanted or ""))
    end
  end
  return checked
end

--- Checks every entry of a list, each different from the others; raises with the place of the first that is wrong.
-- @string name the public function
-- @string argument
-- @tab list
-- @tab rule of an entry, see `value`
-- @treturn table a new list
function options.entries(name, argument, list, rule)
  local checked, seen = {}, {}
  if next(list) == nil then errors.refuse(name, argument .. ": expected at least one, got none") end
  options.value(name, argument, list, { type = "list" }) -- what a hole hides would be left out in silence
  for i, entry in ipairs(list) do
    checked[i] = options.value(name, ("%s[%d]"):format(argument, i), entry, rule)
    if seen[checked[i]] then
      errors.refuse(name, "%s[%d]: expected each once, got %s again", argument, i, options.describe(entry))
    end
    seen[checked[i]] = true
  end
  return checked
end

--- Checks an option table: refuses unknown keys, checks each value, fills in defaults.
-- @string name the public function
-- @tab[opt] given the user's options; never changed
-- @tab rules option name -> rule, see `value`; or for an option that had this name once, the name that it has now
-- @treturn table a new table
function options.check(name, given, rules)
  if given == nil then given = {} end
  if type(given) ~= "table" then
    errors.refuse(name, "options: expected a table, got " .. options.describe(given))
  end
  local known, checked = {}, {}
  for key, rule in pairs(rules) do
    if type(rule) == "table" then known[key] = rule end
  end
  for key in pairs(given) do
    if type(rules[key]) == "string" then errors.refuse(name, "%s is called %s now", key, rules[key]) end
    if not known[key] then
      local names = options.sorted_keys(known)
      errors.refuse(name, "unknown option %s, expected one of: %s%s", options.describe(key), table.concat(names, ", "),
        options.suggest(key, names))
    end
  end
  for key, rule in pairs(known) do checked[key] = options.value(name, key, given[key], rule) end
  return checked
end

return options
