/* How many cores a rank has, by the masks that the launcher gave to the ranks of one machine. */
#define _GNU_SOURCE
#include "mpi/state.h"

#include "base/memory.h"

#include <sched.h>
#include <string.h>

/* A core that n ranks may use counts 1/n for each. */
static void divide_cores(sc_mpi_place *place, const cpu_set_t *masks, const cpu_set_t *own) {
    place->cores = 0;
    place->core_count = CPU_COUNT(own);
    place->is_bound = false;
    for (int rank = 0; rank < place->local_size; rank++)
        place->is_bound = place->is_bound || !CPU_EQUAL(&masks[rank], own);
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        int users = 0;
        for (int rank = 0; rank < place->local_size; rank++)
            users += CPU_ISSET(core, &masks[rank]) != 0;
        if (CPU_ISSET(core, own) && users > 0)
            place->cores += 1.0 / users;
    }
}

sc_status sc_mpi_find_cores(sc_mpi_place *place, sc_error *error) {
    MPI_Comm local;
    cpu_set_t own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) != 0)
        CPU_SET(0, &own); /* more cores than the set has room for: one is always there */
    SC_TRY(sc_mpi_check(MPI_Comm_split_type(sc_mpi.comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local),
                        "MPI_Comm_split_type", error));
    void *masks = NULL;
    sc_status status = sc_mpi_check(MPI_Comm_size(local, &place->local_size), "MPI_Comm_size", error);
    if (status == SC_OK)
        status = sc_memory_calloc(&masks, (size_t)place->local_size, sizeof own, error);
    if (status == SC_OK)
        status = sc_mpi_check(MPI_Allgather(&own, (int)sizeof own, MPI_BYTE, masks, (int)sizeof own, MPI_BYTE, local),
                              "MPI_Allgather", error);
    if (status == SC_OK)
        divide_cores(place, masks, &own);
    sc_memory_free(masks);
    MPI_Comm_free(&local);
    return status;
}
