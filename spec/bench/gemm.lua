-- Matrix products: GFLOP/s of float32 1024 x 1024 x 1024 on one thread and on all, with the OpenBLAS kernels that the
-- process got (OPENBLAS_CORETYPE=Haswell or SkylakeX before the command chooses others, where that is possible).
local sc = require "secateur"
local clock = require("secateur.core").clock

local n, rounds = 1024, 25
local a, b = sc.randn(n, n, { seed = 1 }), sc.randn(n, n, { seed = 2 })
print("OPENBLAS_CORETYPE=" .. (require("secateur.cpu").prepare().coretype or "(unset)"))
local all = sc.threads()
for threads = 1, all, math.max(all - 1, 1) do
  sc.threads(threads)
  local best = math.huge
  for _ = 1, rounds do
    local start = clock()
    a:matmul(b)
    best = math.min(best, clock() - start)
  end
  print(("%d thread%s  %7.1f GFLOP/s"):format(threads, threads > 1 and "s" or " ", 2 * n ^ 3 / best * 1e-9))
end
sc.threads(all)
