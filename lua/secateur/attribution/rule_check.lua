--- What a rule table must look like, see secateur.attribution.rules.
-- @module secateur.attribution.rule_check
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local MOST = 4 -- groups in a rule, terms in a group

local kinds = { "linear", "gated", "contrastive", "gradient", "pass", "own", "block" }
local modes = { gated = { "default", "package" }, own = { "default", "ties", "detach_weights", "pass" } }
local gates = { "all", "positive", "negative" }

-- Faults are raised as tables, and caught at the end: { message }.
local function fail(where, expected, got)
  errors.raise("%sexpected %s, got %s", where == "" and "" or where .. ": ", expected, options.describe(got))
end

local function within(where, field) return where == "" and field or where .. "." .. field end

local function check_table(where, value, known)
  if type(value) ~= "table" then fail(where, "a table", value) end
  for key in pairs(value) do
    local found = false
    for _, name in ipairs(known) do found = found or key == name end
    if not found then
      errors.raise("%sunknown field %s, expected one of: %s", where == "" and "" or where .. ": ",
        options.describe(key), table.concat(known, ", "))
    end
  end
end

local function check_choice(where, value, choices)
  for _, choice in ipairs(choices) do
    if value == nil or value == choice then return end
  end
  local names = {}
  for i, choice in ipairs(choices) do names[i] = options.describe(choice) end
  fail(where, "one of " .. table.concat(names, ", "), value)
end

local function check_number(where, value, least)
  if value == nil then return end
  local finite = math.type(value) and value == value and value < math.huge and value > -math.huge
  if not finite or least and value < least then
    fail(where, least and ("a finite number of at least %d"):format(least) or "a finite number", value)
  end
end

local function check_list(where, value, what)
  local count = type(value) == "table" and #value or 0
  if count < 1 or count > MOST then fail(where, ("a list of 1 to %d %s"):format(MOST, what), value) end
  for key in pairs(value) do
    if not math.type(key) then
      errors.raise("%s: unknown field %s, expected a list", where, options.describe(key))
    end
  end
end

local function check_modifier(where, value)
  if value == nil then return end
  check_table(where, value, { "plain", "positive", "negative", "square", "constant" })
  for key, number in pairs(value) do check_number(within(where, key), number) end
end

local function check_group(where, group)
  check_table(where, group, { "coefficient", "gate", "epsilon", "terms" })
  check_number(within(where, "coefficient"), group.coefficient)
  check_number(within(where, "epsilon"), group.epsilon, 0)
  check_choice(within(where, "gate"), group.gate, gates)
  check_list(within(where, "terms"), group.terms, "terms")
  for i, term in ipairs(group.terms) do
    local at = ("%s[%d]"):format(within(where, "terms"), i)
    check_table(at, term, { "input", "weight", "bias" })
    for _, field in ipairs { "input", "weight", "bias" } do check_modifier(within(at, field), term[field]) end
  end
end

local function check_rule(rule)
  check_table("", rule, { "kind", "groups", "mode", "epsilon", "name" })
  check_choice("kind", rule.kind, kinds)
  local kind = rule.kind or "linear"
  if kind == "own" and rule.mode == "hold" then errors.raise "mode: 'hold' is called 'detach_weights' now" end
  check_choice("mode", rule.mode, modes[kind] or { "default" })
  check_number("epsilon", rule.epsilon, 0)
  if rule.name ~= nil and type(rule.name) ~= "string" then fail("name", "a string", rule.name) end
  if kind ~= "linear" then
    if rule.groups ~= nil then fail("groups", ("none for a rule of kind '%s'"):format(kind), rule.groups) end
    return
  end
  check_list("groups", rule.groups, "groups")
  for i, group in ipairs(rule.groups) do check_group(("groups[%d]"):format(i), group) end
end

--- What is wrong with a rule: nil, or a message that starts with the field, e.g. "groups[1].epsilon: expected a finite
-- number of at least 0, got -1".
-- @param rule
-- @treturn string|nil
return function(rule)
  local ok, fault = errors.try(check_rule, rule)
  return not ok and fault or nil
end
