-- Verbs over ranks under each MPI that is installed: every rank has the bits of one process. What cannot be seen with
-- coroutines in place of processes (`support.coroutine_group`): strategies that sort by what the model says, processes
-- with threads of their own, images on disk, errors.
local child = require "support.child"
local files = require "secateur.util.files"
local mpirun = require "support.mpirun"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

-- Says by one text what the verbs give.
local SCRIPT = [[
  local fingerprint = require "secateur.util.fingerprint"
  local json = require "secateur.util.json"
  local sc = require "secateur"
  local group = MPI and sc.mpi.group() or nil
  local data = sc.data.folder("ROOT", { size = 8, splits = { train = 0.6, val = 0.2, test = 0.2 }, quiet = true,
    seed = 1 })
  local model = sc.models.vgg { config = { 4, "M", 5, "M" }, hidden = { 6 }, pool = 2, batch_norm = true, like = data,
    seed = 3 }
  local told = {}
  local function tell(what, value) told[#told + 1] = what .. " " .. fingerprint.text(json.encode(value)) end

  local result = sc.evaluate(model, data.train, { batch = 3, group = group })
  tell("evaluate", { result.logits, result.indices, result.confusion, result.loss, result.skipped })

  local function scores_of(opts)
    opts.group = group
    local scores, lists = sc.importance(model, data.train, opts), {}
    for name, tensor in pairs(scores) do lists[name] = tensor:totable() end
    return { lists, scores.provenance.indices, scores.provenance.skipped }
  end
  tell("lrp", scores_of { method = "lrp", sampling = "confidence", per_class = 3, batch = 2 })
  tell("sensitivity", scores_of { per_class = 4, calibration_count = 20 })
  tell("mine", scores_of { per_class = 3, sampling = "margin", method = function(_, _, ctx)
    local found = ctx:attribute { method = "ig", steps = 4 }
    for name, rows in pairs(ctx:gradient "prediction") do found[name] = found[name] + rows:abs():mean(1) end
    return found
  end })
  local indices = {}
  for i = 1, data.train:count() do indices[i] = i end
  tell("taylor", scores_of { method = "taylor", indices = indices, batch = 4 })

  local judged = sc.faithfulness(model, data.train, { methods = { "lrp", "gradient" }, per_class = 3, steps = 4,
    draws = 2, resamples = 20, stages = 2, group = group, progress = false })
  tell("faithfulness", { judged.values, judged.scores, judged.curves, judged.indices, judged.skipped })
  io.stdout:write(table.concat(told, ", ") .. "\n")
]]

describe("verbs over ranks", function()
  local root

  setup(function()
    root = temporary.folder()
    for _, class in ipairs { "a", "b" } do
      for i = 1, 14 do
        local name = ("%s/%02d.png"):format(class, i)
        if i % 5 == 0 then pictures.truncated(root, name) else pictures.save(root, name, i / 15) end
      end
    end
  end)
  teardown(function() assert(files.remove(root)) end)

  local function script(mpi) return (SCRIPT:gsub("ROOT", root):gsub("MPI", tostring(mpi), 1)) end

  for _, flavour in ipairs(mpirun.flavours) do
    it("give every rank what one process gets, under " .. flavour, function()
      mpirun.need(pending, flavour)
      local alone = child.run(script(false))
      assert.matches("^evaluate %x+, .*faithfulness %x+\n$", alone)
      for ranks = 1, 3 do assert.equal(alone:rep(ranks), mpirun.lines(flavour, ranks, script(true))) end
    end)

    it("end on all ranks with the message of the one that fails, under " .. flavour, function()
      mpirun.need(pending, flavour)
      local status, output = mpirun.run(flavour, 3, (script(true):gsub("local result", [[
        if group.rank == 1 then
          function data.train.subset() return { count = function() error("no such disk", 0) end } end
        end
        local result]], 1)))
      assert.not_equal(0, status)
      assert.is_truthy(output:find("no such disk", 1, true), output)
      assert.is_nil(output:find("faithfulness", 1, true))
    end)
  end
end)
