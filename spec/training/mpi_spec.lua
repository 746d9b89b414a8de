local files = require "secateur.util.files"
local mpirun = require "support.mpirun"
local temporary = require "support.temporary"

-- A training whose checkpoint is the first argument. `dies` = rank and epoch: there the process is killed, as by a
-- machine that fails.
local SCRIPT = [[
package.path = package.path .. ";spec/?.lua"
local core = require "secateur.core"
local sc = require "secateur"
local toy = require "support.toy"
local group = sc.mpi.group()
core.threads(1)
local data = sc.data.phantom { count = 60, size = 16, channels = 1, classes = { "normal", "effusion", "nodule" } }
local model = toy.model { size = 16, batch_norm = true, seed = 3 }
local history = sc.train(model, data, { epochs = 4, batch = 12, micro_batch = 2, lr = 5e-3, quiet = true, group = group,
  ema = 0.9, checkpoint = %q, resume = true, on_epoch = function(row)
    if group.rank == %d and row.epoch == %d then
      io.popen("kill -KILL " .. io.open("/proc/self/stat"):read "n"):close()
      while true do group:receive(1) end
    end
  end })
local text, state = {}, model:state()
for _, row in ipairs(history) do
  text[#text + 1] = ("%%a %%a %%a"):format(row.train_loss, row.val_loss, row.train_accuracy)
end
local names = {}
for name in pairs(state) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local tensor = state[name]
  for _, value in ipairs(tensor:reshape(tensor:numel()):totable()) do text[#text + 1] = ("%%a"):format(value) end
end
io.stdout:write(sc.fingerprint(table.concat(text, "\n")) .. "\n") -- at once: launchers mix what comes in parts
]]

local function script(path, rank, epoch) return SCRIPT:format(path, rank or -1, epoch or 0) end

for _, flavour in ipairs(mpirun.flavours) do
  describe("train under " .. flavour, function()
    local root, path
    before_each(function()
      root = temporary.folder()
      path = root .. "/run.safetensors"
    end)
    after_each(function() files.remove(root) end)

    it("gives the bits of one process, and goes on after a kill with other ranks", function()
      mpirun.need(pending, flavour)
      local alone = mpirun.lines(flavour, 1, script(path))
      assert.truthy(alone:find "^%x+\n$")
      for _, ranks in ipairs { 2, 4 } do
        os.remove(path)
        assert.equal(alone:rep(ranks), mpirun.lines(flavour, ranks, script(path)))
      end
      for rank, ranks in pairs { [0] = 2, [1] = 3 } do -- who writes the checkpoint, and another
        os.remove(path)
        assert.not_equal(0, (mpirun.run(flavour, 2, script(path, rank, 2))))
        assert.truthy(files.is_file(path))
        assert.equal(alone:rep(ranks), mpirun.lines(flavour, ranks, script(path)))
      end
    end)

    it("does so in the example", function()
      mpirun.need(pending, flavour)
      local text, saved = [[
        arg = { [0] = "train.lua", %q, "--size", "16", "--epochs", "1", "--arch", "vgg", "--micro-batch", "8" }
        dofile "examples/train.lua"
      ]], {}
      for ranks = 1, 2 do
        local model = ("%s/%d.safetensors"):format(root, ranks)
        local _, lines = mpirun.lines(flavour, ranks, text:format(model)):gsub("Saved [^\n]*", "")
        assert.equal(1, lines) -- one rank speaks
        saved[ranks] = assert(files.read_all(model))
      end
      assert.is_true(saved[1] == saved[2])
    end)

    it("says on which rank what failed", function()
      mpirun.need(pending, flavour)
      local status, output = mpirun.run(flavour, 2, (script("/proc/run.safetensors")))
      assert.not_equal(0, status)
      assert.truthy(output:find("train: checkpoint: ", 1, true), output)
      assert.truthy(output:find "rank 0: [^\n]*train: checkpoint: ", output)
    end)
  end)
end
