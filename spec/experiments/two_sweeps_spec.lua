-- Two processes without MPI that are given the same sweep and the same store at once.
local child = require "support.child"
local files = require "secateur.util.files"
local rank_sweep = require "support.rank_sweep"
local temporary = require "support.temporary"

describe("two sweeps of one store", function()
  local folder
  before_each(function() folder = temporary.folder() end)
  after_each(function() assert(files.remove(folder)) end)

  it("take turns where they are told to wait: both give all rows, and each is computed once", function()
    local path = files.join(folder, "runs.db")
    local script = rank_sweep.script(path, { options = "wait = 3600", after =
      [[print(#results, sc.fingerprint(table.move(results, 1, #results, 1, {})))]] })
    local first, end_first = child.start(script, "OMP_NUM_THREADS=1 %s")
    local second, end_second = child.start(script, "OMP_NUM_THREADS=1 %s")
    local texts = { first:read "a", second:read "a" }
    assert.is_true(end_first(), texts[1])
    assert.is_true(end_second(), texts[2])
    local _, trained = (texts[1] .. texts[2]):gsub("trains\n", "")
    assert.equal(1, trained, texts[1]:sub(1, 200) .. texts[2]:sub(1, 200))
    local found = {}
    for i, text in ipairs(texts) do found[i] = text:match "%d+\t%x+\n$" end
    assert.matches(("^%d\t"):format(rank_sweep.rows), found[1])
    assert.equal(found[1], found[2])
  end)
end)
