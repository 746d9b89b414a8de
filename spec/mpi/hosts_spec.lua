-- Several machines that meet over a network: network namespaces with host names of their own, joined by a bridge.
local child = require "support.child"
local files = require "secateur.util.files"
local mpirun = require "support.mpirun"
local rank_sweep = require "support.rank_sweep"
local temporary = require "support.temporary"

-- Writes what a training comes to, by as many ranks as there are.
local TRAINING = [[
  package.path = package.path .. ";spec/?.lua"
  local sc = require "secateur"
  local toy = require "support.toy"
  local group = sc.mpi.group()
  local data = sc.data.phantom { count = 60, size = 16, channels = 1, classes = { "normal", "effusion", "nodule" } }
  local model = toy.model { size = 16, batch_norm = true, seed = 3 }
  local history = sc.train(model, data, { epochs = 2, batch = 12, micro_batch = 2, quiet = true, group = group })
  local hosts = {}
  for _, host in ipairs(group:all_gather(group.host)) do hosts[host] = true end
  local count = 0
  for _ in pairs(hosts) do count = count + 1 end
  io.stdout:write(("%d %d %a %s\n"):format(count, group.local_size, history[2].train_loss,
    sc.fingerprint(toy.weights(model))))
]]

for _, flavour in ipairs(mpirun.flavours) do
  describe("machines under " .. flavour, function()
    local folder
    setup(function() folder = temporary.folder() end)
    teardown(function() files.remove(folder) end)
    it("train to the same bits, one or two or four of them", function()
      mpirun.need(pending, flavour)
      mpirun.need_hosts(pending)
      local first
      for _, hosts in ipairs { 1, 2, 4 } do
        local output = mpirun.lines(flavour, hosts, TRAINING, { hosts = hosts, env = "OMP_NUM_THREADS=1" })
        local line = output:match "[^\n]*\n"
        local seen, together, result = line:match "^(%d+) (%d+) (.*)\n$"
        assert.equal(line:rep(hosts), output)
        assert.same({ tostring(hosts), "1" }, { seen, together })
        first = first or result
        assert.equal(first, result)
      end
    end)

    it("share a sweep that equals that of one process", function()
      mpirun.need(pending, flavour)
      mpirun.need_hosts(pending)
      local function path(name) return files.join(folder, name) end
      assert.is_true((child.try(rank_sweep.script(path "alone.db"), "OMP_NUM_THREADS=1 %s")))
      local status, output = mpirun.run(flavour, 4, rank_sweep.script(path "many.db"),
        { hosts = 2, env = "OMP_NUM_THREADS=1" })
      assert.equal(0, status, output)
      assert.same(rank_sweep.contents(path "alone.db"), rank_sweep.contents(path "many.db"))
    end)

    it("end when a process on one of them is killed, or raises an error", function()
      mpirun.need(pending, flavour)
      mpirun.need_hosts(pending)
      local failing = [[error "out of paper"]] -- several times, since who leaves first is a matter of chance
      for _, how in ipairs { [[io.popen("kill -9 $PPID"):close()]], failing, failing, failing } do
        local status, output = mpirun.run(flavour, 2, ([[
          local group = require("secateur").mpi.group()
          group:barrier()
          if group.rank == 1 then %s end
          group:receive_from(1 - group.rank)
          print "went on"
        ]]):format(how), { hosts = 2 })
        assert.not_equal(0, status)
        assert.not_equal(124, status, output)
        assert.falsy(output:find "went on", output)
      end
    end)
  end)
end
