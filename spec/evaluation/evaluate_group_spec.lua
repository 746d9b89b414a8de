-- Evaluation over ranks: what all of them get is what one process gets, to the bit.
local errors = require "support.errors"
local files = require "secateur.util.files"
local memory_split = require "support.memory_split"
local pictures = require "support.pictures"
local coroutine_group = require "support.coroutine_group"
local sc = require "secateur"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local function without_time(result)
  local plain = {}
  for key, value in pairs(result) do
    if key ~= "seconds" then plain[key] = value end
  end
  return plain
end

local function model_of(opts)
  local given = { config = { 4, "M" }, hidden = { 6 }, pool = 2, classes = 3, size = 8, seed = 3 }
  for key, value in pairs(opts or {}) do given[key] = value end
  return sc.models.vgg(given)
end

local images = sc.randn(11, 3, 8, 8, { seed = 5 })

local function split_of(labels, opts)
  opts = opts or {}
  return memory_split(images, labels, { classes = opts.classes or { "a", "b", "c" }, unreadable = opts.unreadable })
end

describe("evaluate with a group", function()
  local labels = { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2 }

  it("gives every rank what one process gets", function()
    local two, findings = {}, {}
    for i, label in ipairs(labels) do
      two[i], findings[i] = label == 1 and 1 or 2, { label % 2, label == 2 and -1 or 1, i % 2 }
    end
    local cases = {
      { model_of(), split_of(labels), {} },
      { model_of(), split_of(labels, { unreadable = { [1] = true, [4] = true, [11] = true } }), { batch = 2 } },
      { model_of { classes = 1, head = "sigmoid" }, split_of(two, { classes = { "a", "b" } }),
        { threshold = "youden" } },
      { model_of { head = "sigmoid" }, split_of(findings), { batch = 3 } },
    }
    for number, case in ipairs(cases) do
      local model, split, opts = table.unpack(case)
      local expected = without_time(sc.evaluate(model, split, opts))
      for _, size in ipairs { 1, 2, 3, 16 } do
        local found = coroutine_group.values(size, function(group)
          local own = { group = group }
          for key, value in pairs(opts) do own[key] = value end
          return sc.evaluate(model:clone(), split, own)
        end)
        assert.equal(size, #found)
        for _, result in ipairs(found) do assert.same(expected, without_time(result), number) end
      end
    end
  end)

  it("refuses, on all ranks, other weights, images or files on one of them", function()
    local function failures(f)
      local found = {}
      for i, outcome in ipairs(coroutine_group.run(3, f)) do
        found[i] = tostring(outcome.problem):match "group: .*" or tostring(outcome.problem)
      end
      return found
    end
    local function all(text)
      text = "group: expected the same call with the same model, data and options on all ranks: " .. text
      return { text, text, text }
    end
    assert.same(all "model: other weights on rank 2 than on rank 0", failures(function(group)
      return sc.evaluate(model_of { seed = group.rank == 2 and 4 or 3 }, split_of(labels), { group = group })
    end))
    for _, found in ipairs(failures(function(group)
      local split = split_of(labels)
      if group.rank == 1 then split = split:subset { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } end
      return sc.evaluate(model_of(), split, { group = group })
    end)) do
      assert.equal(1, (found:find(all("count: 11 on rank 0, 10 on rank 1; labels: ")[1], 1, true)), found)
    end
    local root = temporary.folder()
    for _, part in ipairs { "train", "val", "test" } do
      pictures.save_all(root, { "one/" .. part .. "/a/1.png", "one/" .. part .. "/b/1.png" })
    end
    local path = files.join(root, "other/test/b/1.png")
    assert(os.execute(("cp -r %s/one %s/other"):format(root, root)))
    local bytes = files.read_all(path)
    files.write_all(path, bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1))
    for _, found in ipairs(failures(function(group)
      local split = sc.data.folder(files.join(root, group.rank == 1 and "other" or "one"), { size = 8 }).test
      return sc.evaluate(model_of { classes = 2 }, split, { group = group })
    end)) do
      assert.matches("^group: expected the same .* on all ranks: files.images: %x+ on rank 0, %x+ on rank 1$",
        (found:gsub('"', "")))
    end
    files.remove(root)
  end)

  it("runs each image on one rank alone", function()
    local split = split_of(labels)
    coroutine_group.values(3, function(group) return sc.evaluate(model_of(), split, { group = group }) end)
    assert.equal(11, split.counter.images)
  end)

  it("counts images that cannot be read as one process does, and names each once", function()
    local root = temporary.folder()
    for _, class in ipairs { "a", "b" } do
      for i = 1, 6 do
        local name = ("test/%s/%02d.png"):format(class, i)
        if i % 3 == 0 then pictures.truncated(root, name) else pictures.save(root, name, i / 7) end
      end
      for _, part in ipairs { "train", "val" } do pictures.save(root, ("%s/%s/1.png"):format(part, class), 0.5) end
    end
    local function run(group)
      local split, noted = sc.data.folder(root, { size = 8 }).test, {}
      local result = sc.evaluate(model_of { classes = 2 }, split, { group = group, batch = 2 })
      for i, note in ipairs(split.skipped) do noted[i] = note.path end
      return { result = without_time(result), noted = noted, skipped = result.skipped }
    end
    local expected, said, found, said_together
    said = stderr.calls(function() expected = run() end)
    assert.equal(4, expected.skipped)
    said_together = stderr.calls(function() found = coroutine_group.values(3, run) end)
    for _, of_rank in ipairs(found) do assert.same(expected, of_rank) end
    assert.same(said, said_together)
    assert(files.remove(root))
  end)

  it("ends on every rank where it cannot go on", function()
    local model = model_of()
    local none = split_of(labels, { unreadable = { true, true, true, true, true, true, true, true, true, true, true } })
    for _, result in ipairs(coroutine_group.run(3, function(group)
      return sc.evaluate(model:clone(), none, { group = group })
    end)) do
      assert.matches("evaluate: memory: none of the images could be decoded$", tostring(result.problem))
    end
    local failing = split_of(labels)
    function failing:subset(indices)
      if indices[1] ~= 4 then return memory_split(images, labels, { classes = self.classes }):subset(indices) end
      return { count = function() return 4 end, batches = function() error("no such disk", 0) end }
    end
    local results = coroutine_group.run(3, function(group)
      return sc.evaluate(model:clone(), failing, { group = group })
    end)
    assert.equal("no such disk", results[2].problem)
    for _, i in ipairs { 1, 3 } do assert.matches("rank 1: no such disk$", tostring(results[i].problem)) end
  end)

  it("is refused what is no group, and a split that cannot be shared out", function()
    assert.equal("evaluate: group: expected a group of processes, as sc.mpi.group() gives it, got 2",
      errors.here(function() sc.evaluate(model_of(), split_of(labels), { group = 2 }) end))
    local whole = split_of(labels)
    local bare = { count = function() return 11 end, batches = function(_, o) return whole:batches(o) end }
    for _, result in ipairs(coroutine_group.run(2, function(group)
      return sc.evaluate(model_of(), bare, { group = group })
    end)) do
      assert.matches("evaluate: split: expected one with subset%(indices%), which ranks take their parts by$",
        result.problem)
    end
  end)
end)
