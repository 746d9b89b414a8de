-- Each process uses the cores that its launcher gave it, or its share of those that several may use.
local mpirun = require "support.mpirun"

local SCRIPT = [[
  local sc = require "secateur"
  local group = sc.mpi.group()
  assert(group.threads == sc.threads())
  io.stdout:write(group.threads .. "\n")
]]

-- The cores that this process may use.
local function cores()
  local pipe = assert(io.popen "env -u OMP_NUM_THREADS nproc")
  local count = pipe:read "n"
  pipe:close()
  return count
end

for _, flavour in ipairs(mpirun.flavours) do
  describe("the threads of a rank under " .. flavour, function()
    local function threads(ranks, settings)
      return mpirun.lines(flavour, ranks, SCRIPT, settings)
    end

    it("are its share of the cores that all may use", function()
      mpirun.need(pending, flavour)
      for ranks = 1, 3 do
        assert.equal((math.max(cores() // ranks, 1) .. "\n"):rep(ranks), threads(ranks))
      end
    end)

    it("are one on a core of its own, or on one for all", function()
      mpirun.need(pending, flavour)
      if not os.execute "taskset -c 0 true 2>/dev/null" then pending "no taskset, or no core 0, here" end
      assert.equal("1\n1\n", threads(2, { wrap = "taskset -c 0 %s" }))
    end)

    it("are what OMP_NUM_THREADS says, or Slurm, which cannot give more than there are", function()
      mpirun.need(pending, flavour)
      assert.equal("3\n3\n", threads(2, { env = "OMP_NUM_THREADS=3" }))
      assert.equal("2\n2\n", threads(2, { env = "OMP_NUM_THREADS=2,4" }))
      assert.equal("1\n", threads(1, { env = "SLURM_CPUS_PER_TASK=1" }))
      assert.equal(cores() .. "\n", threads(1, { env = "SLURM_CPUS_PER_TASK=4000" }))
    end)
  end)
end

describe("the threads of a rank that Open MPI binds", function()
  it("are those of its cores", function()
    mpirun.need(pending, "openmpi")
    local status, output = mpirun.run("openmpi", 1, [[
      local sc = require "secateur"
      local pipe = io.popen "nproc"
      assert(sc.mpi.group().threads == pipe:read "n")
      pipe:close()
      print "good"
    ]], { args = "--bind-to core" })
    if status ~= 0 and output:find "not support binding" then pending "processes cannot be bound to cores here" end
    assert.equal("good\n", output)
  end)
end)
