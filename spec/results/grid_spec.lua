local grid = require "secateur.results.grid"
local rows = require "support.rows"

describe("grid", function()
  it("names the rows that are not there", function()
    local some = rows.results { { { [0] = 0, [0.5] = 0.1 } },
      { { [0.5] = 0.1 }, { method = "ig", sampling = "mine" } } }
    local found = {}
    for i, each in ipairs(grid.missing(some)) do
      found[i] = ("%s %s %s %s %g"):format(each.dataset, each.method, each.sampling, each.repair, each.rate)
    end
    assert.same({ "cpn lrp mine none 0", "cpn lrp mine none 0.5", "cpn ig random none 0", "cpn ig random none 0.5",
      "cpn ig mine none 0" }, found)
  end)

  it("knows of what no row is there yet from the experiment", function()
    local some = rows.results({ { { [0.5] = 0.1 } } }, { experiment = { seeds = { 0, 1 }, rates = { 0.5, 0.7 },
      samplings = { random = "built-in" }, models = { vgg = {} } } })
    local found = {}
    for i, each in ipairs(grid.missing(some)) do found[i] = ("%d %g"):format(each.seed, each.rate) end
    assert.same({ "0 0.7", "1 0.5", "1 0.7" }, found)
    assert.same({}, grid.missing(rows.results { { { [0.5] = 0.1 } } }))
  end)

  it("is that of the last call, where calls are known", function()
    local some = rows.results({ { { [0.3] = 0, [0.5] = 0.1 } }, { { [0.5] = 0.1 }, { method = "ig" } } },
      { runs = { { grid = { methods = { "dlb" } } }, { grid = { datasets = { "cpn" }, models = { "vgg" },
        methods = { "ig" }, samplings = { "random" }, seeds = { 0, 1 }, rates = { 0.5 }, repair = { "none" },
        redundancy = { false } } } } })
    local missing = grid.missing(some)
    assert.equal(1, #missing) -- of LRP nothing was asked for
    assert.same({ "ig", 1, 0.5 }, { missing[1].method, missing[1].seed, missing[1].rate })
    assert.same({}, grid.missing(some, { seed = 0 }))
  end)

  it("counts pruned models, which that of rate 0 is not", function()
    assert.equal(2, grid.count_pruned(rows.results { { { [0] = 0, [0.3] = 0, [0.5] = 0.1 } } }))
  end)
end)
