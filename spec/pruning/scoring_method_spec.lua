local errors = require "support.errors"
local scoring_method = require "secateur.pruning.scoring_method"

describe("a scoring method", function()
  local function f() return {} end

  it("is a name, a function, or a function with a version", function()
    assert.same({ name = "lrp", builtin = true }, scoring_method.read("sweep", "methods[1]", "lrp"))
    assert.same({ name = "custom", score = f, builtin = false }, scoring_method.read("importance", "method", f))
    assert.same({ name = "custom", score = f, version = 2, builtin = false },
      scoring_method.read("importance", "method", { score = f, version = 2 }))
    assert.same({ name = "custom", score = f, builtin = false }, scoring_method.read("x", "y", { score = f }))
    assert.is_true(scoring_method.is_own(f))
    assert.is_true(scoring_method.is_own { score = f })
    for _, value in ipairs { "lrp", {}, 3 } do assert.is_false(scoring_method.is_own(value)) end
  end)

  it("is nothing else", function()
    local function refusal(value)
      return errors.inside(function() scoring_method.read("sweep", "methods.mine", value) end)
    end
    assert.equal("sweep: methods.mine: expected one of 'lrp', 'dlb', 'ig', 'gradient_x_input', 'sensitivity', 'random',"
      .. " 'magnitude', 'activation', 'taylor', a function or { score = function }, got 'magnitud'; "
        .. "did you mean 'magnitude'?",
      refusal "magnitud")
    assert.matches("^sweep: methods.mine: expected one of .*, got 'grad_cam'$", refusal "grad_cam")
    for value, got in pairs { [3] = "3", [{}] = "a table", [true] = "true" } do
      assert.equal("sweep: methods.mine: expected a name, a function or { score = function, version = text or number },"
        .. " got " .. got, refusal(value))
    end
    assert.equal("sweep: methods.mine.score: expected a function, got 'lrp'", refusal { score = "lrp" })
    assert.equal("sweep: methods.mine.version: expected a text or a number, got a table",
      refusal { score = f, version = {} })
    assert.equal("sweep: methods.mine: expected { score = function, version = text or number }, got a field 'versoin'; "
      .. "did you mean 'version'?", refusal { score = f, versoin = 1 })
  end)
end)
