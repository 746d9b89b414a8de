local errors = require "support.errors"
local options = require "secateur.util.options"

local rules = {
  method = { one_of = { "lrp", "gradient_x_input", "ig" } },
  per_class = { type = "integer", min = 1 },
  rate = { type = "number", min = 0, below = 1 },
  level = { type = "number", above = 0, max = 1 },
  size = { type = "number", min = 0 },
}

local function refused(given)
  return errors.here(function() options.check("f", given, rules) end)
end

describe("options", function()
  it("ask whether another word was meant", function()
    local known = "f: method: expected one of 'lrp', 'gradient_x_input', 'ig', got "
    for word, meant in pairs { LRP = "lrp", ["Lrp"] = "lrp", ["Gradient x input"] = "gradient_x_input",
      ["gradient-x-input"] = "gradient_x_input", gradient_x_inptu = "gradient_x_input", IG = "ig",
      gradient_x_inpt = "gradient_x_input", gradient_x_innput = "gradient_x_input" } do
      assert.equal(("%s'%s'; did you mean '%s'?"):format(known, word, meant), refused { method = word })
    end
    for _, word in ipairs { "shap", "lr", "gradient", "" } do
      assert.equal(("%s'%s'"):format(known, word), refused { method = word })
    end
    assert.equal(known .. "3", refused { method = 3 })
    local names = "level, method, per_class, rate, size"
    assert.equal("f: unknown option 'perClass', expected one of: " .. names .. "; did you mean 'per_class'?",
      refused { perClass = 2 })
    assert.equal("f: unknown option 'rates', expected one of: " .. names .. "; did you mean 'rate'?",
      refused { rates = 0.5 })
    assert.equal("f: unknown option 'batch', expected one of: " .. names, refused { batch = 2 })
    assert.equal("f: unknown option 1, expected one of: " .. names, refused { 2 })
  end)

  it("do not take another digit for a slip", function()
    assert.equal("", options.suggest("features.9", { "features.0", "features.1" }))
    assert.equal("", options.suggest("resnet5", { "resnet50" }))
    assert.equal("; did you mean 'resnet50'?", options.suggest("ResNet-50", { "resnet18", "resnet50" }))
    assert.equal("; did you mean 'features.0'?", options.suggest("feature.0", { "features.0" }))
  end)

  it("show small tables as they are", function()
    for text, value in pairs { ["{ 0.9, 9 }"] = { 0.9, 9 }, ["{ macs = 50 }"] = { macs = 50 }, ["a table"] = {},
      ["{ 'x', true, b = 1, c = 'y' }"] = { "x", true, c = "y", b = 1 }, ["7"] = 7, ["nil"] = nil } do
      assert.equal(text, options.show(value))
    end
    assert.equal("a table", options.show { { 1 } })
    assert.equal("a table", options.show { 1, 2, 3, 4, 5, 6, 7, 8, 9 })
    assert.equal("a table", options.show { [2.5] = 1 })
    assert.equal("a Thing", options.show(setmetatable({ 1 }, { __name = "Thing" })))
  end)

  it("tell percent from shares", function()
    assert.equal("f: rate: expected a number in [0, 1), got 50; 50 % is 0.5", refused { rate = 50 })
    assert.equal("f: level: expected a number in (0, 1], got 97.5; 97.5 % is 0.975", refused { level = 97.5 })
    assert.equal("f: rate: expected a number in [0, 1), got 1", refused { rate = 1 })
    assert.equal("f: rate: expected a number in [0, 1), got 500", refused { rate = 500 })
    assert.equal("f: rate: expected a number in [0, 1), got '50'", refused { rate = "50" })
    assert.equal("f: size: expected a number of at least 0, got -50", refused { size = -50 })
  end)

  it("say which entry of a list is wrong", function()
    local function entries(list, rule)
      return errors.here(function() options.entries("f", "rates", list, rule or rules.rate) end)
    end
    assert.equal("f: rates[2]: expected a number in [0, 1), got 30; 30 % is 0.3", entries { 0, 30 })
    assert.equal("f: rates[3]: expected each once, got 0 again", entries { 0, 0.5, 0 })
    assert.equal("f: rates: expected at least one, got none", entries {})
    assert.equal("f: rates: expected a list, got a table", entries { 0, nil, 0.5 })
    assert.equal("f: rates: expected a list, got { 0, more = 0.5 }", entries { 0, more = 0.5 })
    assert.equal("f: rates[1]: expected one of 'lrp', 'gradient_x_input', 'ig', got 'Ig'; did you mean 'ig'?",
      entries({ "Ig" }, rules.method))
    local given = { 0.5, 0 }
    local read = options.entries("f", "rates", given, rules.rate)
    assert.same(given, read)
    assert.are_not.equal(given, read)
  end)
end)
