local errors = require "support.errors"
local json = require "secateur.util.json"
local store = require "secateur.results.store"
local stubs = require "support.sweep_stubs"
local sweep_options = require "secateur.experiments.sweep_options"
local sweep_row = require "secateur.experiments.sweep_row"
local sweep_settings = require "secateur.experiments.sweep_settings"
local tasks = require "secateur.experiments.sweep_tasks"

local function new_job(changes)
  local job = sweep_options.prepare(stubs.settings(changes))
  sweep_settings.describe(job)
  return job
end

local function owner(changes)
  local job = new_job(changes)
  job.store = store.memory()
  return job
end

local function through_json(value) return json.decode(json.encode(value)) end

describe("tasks of a sweep", function()
  before_each(stubs.reset)

  it("are plain data in an order that has what each needs before it", function()
    local job = owner { model = false, models = { vgg = { version = 1,
      make = function() return stubs.model "vgg" end }, vit = stubs.model "vit" }, seeds = { 0 } }
    local list, total = tasks.list(job)
    local kinds, seen = {}, {}
    for i, task in ipairs(list) do
      kinds[i] = task.kind
      assert.same(task, through_json(task))
      assert.is_nil(seen[task.id])
      for _, id in ipairs(task.needs) do assert.is_true(seen[id]) end
      seen[task.id] = true
      assert.is_true(task.size >= 0)
    end
    assert.equal(12, total)
    assert.equal("model dense samples scores row row row scores row row row dense samples scores row row row scores "
      .. "row row row", table.concat(kinds, " "))
    assert.same({ "data, vgg", "data, vgg, random, seed 0", "data, vgg, lrp, random, seed 0",
      "data, vgg, lrp, random, seed 0, rate 0.3" }, { list[1].label, list[3].label, list[4].label, list[6].label })
    assert.same({ list[1].id }, list[2].needs)
    assert.same({ list[1].id }, list[3].needs)
    assert.same({ list[1].id, list[3].id }, list[4].needs)
    assert.same({ list[1].id, list[2].id, list[4].id }, list[5].needs)
  end)

  it("are those that the store does not have", function()
    local job = owner { seeds = { 0 } }
    local list = tasks.list(job)
    assert.equal(#list, #tasks.list(job))
    for i, task in ipairs(list) do
      tasks.keep(job, task, tasks.run(job, task, tasks.inputs(job, task)))
      local left, total = tasks.list(job)
      assert.equal(#list - i, #left)
      assert.equal(6, total)
      for _, other in ipairs(left) do
        for _, id in ipairs(other.needs) do assert.not_equal(task.id, id) end
      end
    end
  end)

  it("give the same where each runs in a process of its own", function()
    local one, other = owner {}, owner {}
    for _, task in ipairs((tasks.list(one))) do
      tasks.keep(one, task, tasks.run(one, task, tasks.inputs(one, task)))
    end
    for _, task in ipairs((tasks.list(other))) do
      local worker = new_job {}
      local result = tasks.run(worker, through_json(task), through_json(tasks.inputs(other, task)))
      tasks.keep(other, task, through_json(result))
    end
    local timings = {}
    for _, name in ipairs(sweep_row.timings) do timings[name] = true end
    for _, task in ipairs((tasks.list(owner {}))) do
      if task.kind == "row" then
        local a, b = one.store:get("row", task.key), other.store:get("row", task.key)
        for name in pairs(timings) do a[name], b[name] = nil, nil end
        assert.equal(json.encode(a), json.encode(b))
      end
    end
  end)

  it("do not touch the store of the job that they run in", function()
    local job = owner { seeds = { 0 } }
    for _, task in ipairs((tasks.list(job))) do
      local worker = new_job { seeds = { 0 } }
      worker.store = setmetatable({}, { __index = function() error "the store was touched" end })
      tasks.keep(job, task, tasks.run(worker, task, tasks.inputs(job, task)))
    end
  end)

  it("say what they take of the store, much of it in common", function()
    local job = owner { seeds = { 0 }, methods = { "lrp" } }
    local keys = {}
    for _, task in ipairs((tasks.list(job))) do
      tasks.keep(job, task, tasks.run(job, task, tasks.inputs(job, task)))
      if task.kind == "row" then
        for _, input in ipairs(tasks.input_keys(job, task)) do keys[input.kind .. input.key] = true end
      end
    end
    local count = 0
    for _ in pairs(keys) do count = count + 1 end
    assert.equal(3, count) -- scores, baseline, logits
  end)

  it("know another model by its fingerprint, whoever makes it", function()
    local name = "first"
    local changes = { model = { make = function() return stubs.model(name) end, version = 1 }, seeds = { 0 } }
    local job = owner(changes)
    local list = tasks.list(job)
    tasks.keep(job, list[1], tasks.run(job, list[1], tasks.inputs(job, list[1])))
    name = "second"
    local worker = new_job(changes)
    assert.matches("the function gives another model for 'data'",
      errors.raised(tasks.run, worker, list[2], tasks.inputs(job, list[2])))
  end)

  it("have a text that jobs of the same rows have in common", function()
    local function text(changes) return (sweep_settings.of_job(new_job(changes))) end
    local base = text {}
    assert.equal(base, text {})
    for _, changes in ipairs { { rates = { 0.1 } }, { seeds = { 1 } }, { methods = { "lrp" } }, { per_class = 3 },
      { model = stubs.model "other" }, { data = stubs.dataset "other" }, { about = { a = 1 } } } do
      assert.not_equal(base, text(changes))
    end
  end)
end)
