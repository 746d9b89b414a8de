local here = require("support.errors").here
local sc = require "secateur"
local workers = require "secateur.experiments.workers"

if sc.mpi.launched() then return end

describe("the option workers", function()
  it("is no group in a process on its own, whatever is asked for", function()
    for _, value in ipairs { "mpi", "none", { root = false, ahead = 0, models = 3 } } do
      assert.is_nil(workers.read(value))
    end
    assert.is_nil(workers.read(nil))
  end)

  it("is checked before anything else", function()
    local function refusal(value) return here(function() sc.sweep { workers = value } end) end
    assert.equal("sweep: workers: expected one of 'mpi', 'none', got 'pmi'", refusal "pmi")
    assert.equal("sweep: workers: unknown option 'roots', expected one of: ahead, models, root; did you mean 'root'?",
      refusal { roots = true })
    assert.equal("sweep: workers: models: expected a whole number of at least 1, got 0", refusal { models = 0 })
    assert.equal("sweep: workers: expected one of 'mpi', 'none', got 16", refusal(16))
  end)
end)
