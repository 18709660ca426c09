# cython: language_level=3
"""Declarations of the arena's layout and of the lock-free operations on it (the C headers in ``includes/``)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

ctypedef uint64_t u64
ctypedef uint32_t u32
ctypedef uint16_t u16
ctypedef uint8_t u8

cdef extern from "objects.h" nogil:
    ctypedef u64 au64
    ctypedef u32 au32
    ctypedef int32_t ai32

    u64 RA_MAGIC
    u32 RA_VERSION
    u64 RA_CHUNK
    u32 RA_MAX_PROCS, RA_MAX_WAITERS, RA_EVENTS_LOG2, RA_LOOP_RING_LOG2, RA_MAX_CLASSES, RA_QUEUE_WAITERS, RA_BITMAP_WORDS, RA_CLASSES, RA_LARGEST_BLOCK
    u32 RA_CHUNK_DATA, RA_CHUNK_OBJ, RA_CHUNK_REC, RA_CHUNK_HEAD, RA_CHUNK_TAIL, RA_CHUNK_HOLDS, RA_CHUNK_CLAIMED, RA_CHUNK_FREE, RA_ORPHAN
    u32 RA_FREE, RA_PENDING, RA_VALUE, RA_ERROR, RA_END, RA_SPILLED, RA_LOST, RA_BUSY, RA_MAKING
    u32 RA_F_NONE, RA_F_TRUE, RA_F_FALSE, RA_F_INT, RA_F_FLOAT, RA_F_BYTES, RA_F_STR, RA_F_FAST, RA_F_PICKLE, RA_F_ACTOR, RA_F_RAW
    u32 RA_EF_DEAD, RA_EF_MULTI, RA_EF_EMBEDDED, RA_EF_IN_RECORD, RA_EF_RETAINED, RA_EF_STREAM
    u32 RA_REC_NEW, RA_REC_WAITING, RA_REC_QUEUED, RA_REC_RUNNING, RA_REC_DONE, RA_REC_CANCELLED
    u32 RA_RF_CANCEL, RA_RF_FORCE, RA_RF_DELIVERED, RA_RF_CHILDREN, RA_RF_PARENT, RA_RF_LEFT
    u32 RA_KIND_TASK, RA_KIND_ACTOR_INIT, RA_KIND_ACTOR_CALL
    u32 RA_KF_STREAM, RA_KF_DYNAMIC, RA_KF_RETRY_ERRORS, RA_KF_ASYNC, RA_KF_SEPARATE_ARGS, RA_KF_ARGS_FREED, RA_KF_DETACHED
    u32 RA_ACTOR_PENDING, RA_ACTOR_ALIVE, RA_ACTOR_RESTARTING, RA_ACTOR_DEAD
    u32 RA_CLASS_FREE, RA_CLASS_BUILDING, RA_CLASS_READY, RA_CLASS_ENDING, RA_SPILL_MINIMUM
    u32 RA_PROC_FREE, RA_PROC_STARTING, RA_PROC_ALIVE, RA_PROC_DEAD, RA_PROC_NODE, RA_PROC_DRIVER, RA_PROC_WORKER, RA_PROC_ZYGOTE
    u32 RA_LEASE_NONE, RA_LEASE_IDLE, RA_LEASE_BUSY, RA_LEASE_ACTOR
    u32 RA_PF_REVOKE, RA_PF_CANCEL, RA_PF_EXIT, RA_PF_ONE_TASK
    u32 RA_WAITER_FREE, RA_WAITER_THREAD, RA_WAITER_LOOP
    u32 RA_NODE_STARTING, RA_NODE_UP, RA_NODE_DOWN
    u32 RA_HOLD_HELD, RA_HOLD_CHANGING, RA_HOLD_FREE, RA_HOLD_VIEW, RA_HOLD_TAG
    u32 RA_EV_DEMAND, RA_EV_CLASS, RA_EV_WAITING, RA_EV_RETURNED, RA_EV_IDLE, RA_EV_BLOCKED, RA_EV_UNBLOCKED, RA_EV_ACTOR
    u32 RA_EV_ACTOR_READY, RA_EV_ACTOR_SCOPE, RA_EV_ACTOR_DRAIN, RA_EV_OVERFLOW, RA_EV_FULL
    u32 RA_EV_WORKER_UP, RA_EV_LOST, RA_EV_CANCEL

    ctypedef struct ra_chunk:
        au64 word
        au32 length
        au64 free[8]

    ctypedef struct ra_payload:
        au64 word
        u32 n_refs
        u32 n_bufs
        u64 stream

    ctypedef struct ra_entry:
        au64 word
        au32 refs
        au32 views
        u64 payload
        u64 size
        u64 seq
        u64 link
        u32 index
        u32 owner
        u32 job
        au32 copies

    ctypedef struct ra_record:
        au64 word
        au32 live
        u8 kind
        u8 kflags
        u16 n_returns
        u64 seq
        u64 parent
        u64 parent_seq
        u64 fn
        u64 args
        u64 opts
        u64 queue
        au64 next
        u64 actor
        u32 owner
        u32 job
        ai32 retries
        u32 scope
        au32 produced
        au32 consumed
        au32 consumer_waits
        u32 backpressure
        u64 tail
        ra_entry returns[0]

    ctypedef struct ra_queue:
        au64 word
        u32 mask
        u32 log2
        u64 actor
        u32 cls
        au32 n_waiters
        au32 sleepers
        au32 doorbell
        au64 overflow
        au32 overflowing
        au64 head
        au64 tail
        au32 waiters[256]
        au64 cells[0]

    ctypedef struct ra_actor:
        ra_entry entry
        au32 state
        au32 slot
        u64 queue
        u64 creation
        u64 spec
        u64 error
        u32 job
        au32 restarts

    ctypedef struct ra_class:
        au64 word
        u64 queue
        u64 spec
        u64 hash

    ctypedef struct ra_proc:
        au32 state
        u32 pid
        u32 kind
        u32 uid
        au64 lease
        au64 current
        au32 flags
        au32 blocked
        au64 holds
        au64 idle_since
        au64 done
        u32 waiter
        u32 job
        u32 node
        au32 looking
        au64 serving
        au64 growing

    ctypedef struct ra_waiter:
        au32 kind
        au32 armed
        ai32 need
        au32 multi
        au32 rescan
        u32 slot
        u64 queue

    ctypedef struct ra_super:
        u64 magic
        u32 version
        u32 n_chunks, n_memory, disk_reserve
        au64 resident, overflow, on_disk
        u8 session[16]
        u64 bytes
        u64 limit
        u64 procs
        u64 waiters
        u64 classes
        u64 events
        u64 chunks
        u64 data
        au32 node_state
        au32 node_pid
        au32 node_waiter
        au32 node_rescan
        au64 used
        au64 hint
        au32 high
        au32 next_uid
        au32 next_job
        au32 n_waiters
        au32 n_classes
        au32 n_procs
        au32 next_scope
        au64 lineage
        u64 lineage_limit
        au64 spilled
        au64 restored
        au64 submitted
        au32 spill_stuck
        au32 spill_answers
        au64 spill_budget

    ctypedef struct ra_heap:
        u8 *base
        ra_super *super "super"
        u32 slot
        u32 uid
        u64 counter
        u64 hold_free
        u64 hold_fresh
        u64 hold_end
        int wake_socket
        int directory
        int memory, overflow
        u64 split
        u8 closed
        u8 node_dead
        u32 reserve

    u64 atomic_load_u64 "atomic_load"(au64 *)
    u32 atomic_load_u32 "atomic_load"(au32 *)
    int32_t atomic_load_i32 "atomic_load"(ai32 *)
    void atomic_store_u64 "atomic_store"(au64 *, u64)
    void atomic_store_u32 "atomic_store"(au32 *, u32)
    void atomic_store_i32 "atomic_store"(ai32 *, int32_t)
    # For what is not published yet.
    void plain_store_u32 "ra_plain_store"(au32 *, u32)
    void plain_store_i32 "ra_plain_store"(ai32 *, int32_t)
    void plain_store_u64 "ra_plain_store"(au64 *, u64)
    u64 atomic_add_u64 "atomic_fetch_add"(au64 *, u64)
    u64 atomic_sub_u64 "atomic_fetch_sub"(au64 *, u64)
    u32 atomic_add_u32 "atomic_fetch_add"(au32 *, u32)
    u32 atomic_sub_u32 "atomic_fetch_sub"(au32 *, u32)
    int32_t atomic_sub_i32 "atomic_fetch_sub"(ai32 *, int32_t)
    int32_t atomic_add_i32 "atomic_fetch_add"(ai32 *, int32_t)
    u32 atomic_or_u32 "atomic_fetch_or"(au32 *, u32)
    u64 atomic_or_u64 "atomic_fetch_or"(au64 *, u64)
    u32 atomic_and_u32 "atomic_fetch_and"(au32 *, u32)
    u32 atomic_exchange_u32 "atomic_exchange"(au32 *, u32)
    u64 atomic_exchange_u64 "atomic_exchange"(au64 *, u64)
    bint atomic_cas_u64 "atomic_compare_exchange_strong"(au64 *, u64 *, u64)
    bint atomic_cas_u32 "atomic_compare_exchange_strong"(au32 *, u32 *, u32)
    void atomic_fence "atomic_thread_fence"(int)
    int memory_order_seq_cst

    ctypedef struct ra_live_counts:
        int64_t references
        int64_t hold_slots
        int lenient
        int n_types

    ra_live_counts *RA_LIVE
    void ra_count_reference(int delta)
    void ra_count_slot(int delta)
    void ra_count_type(object)
    const char *ra_live_name(ra_live_counts *, int)
    int64_t ra_live_of_type(ra_live_counts *, int)

    u32 RA_STATE(u64)
    u32 RA_FORMAT(u64)
    u32 RA_FLAGS(u64)
    u32 RA_GEN(u64)
    u32 RA_WATCHER(u64)
    u64 RA_WORD(u32 state, u32 format, u32 flags, u32 gen, u32 watcher)
    u32 RA_R_STATE(u64)
    u32 RA_R_FLAGS(u64)
    u32 RA_R_ATTEMPT(u64)
    u32 RA_R_GEN(u64)
    u32 RA_R_RUNNER(u64)
    u64 RA_R_WORD(u32 state, u32 flags, u32 attempt, u32 gen, u32 runner)
    u64 RA_LEASE_WORD(u32 state, u32 seq, u64 what)
    u64 RA_CELL_OFFSET(u64)
    u32 RA_CELL_GEN(u64)
    u32 RA_CHUNK_KIND(u64)
    u32 RA_CHUNK_CLASS(u64)
    u32 RA_CHUNK_OWNER(u64)
    u32 RA_CHUNK_GEN(u64)
    u64 RA_CHUNK_WORD(u32 kind, u32 cls, u32 owner, u32 gen)

    u64 ra_now_ns()
    int ra_shared_memory(const char *)
    int ra_readable(int)
    int ra_futex_wait(au32 *, u32, u64)
    void ra_futex_wake(au32 *)
    u64 RA_FIRST_NAP
    u64 ra_next_nap(u64)
    void ra_relax()
    void ra_lend_cpu(ra_heap *)
    void ra_retake_cpu(ra_heap *)
    void ra_die_with_parent(int)
    void ra_set_subreaper()
    void ra_set_title(const char *)
    size_t ra_command_line(char **)

    ra_chunk *ra_chunk_at(ra_heap *, u32)
    u64 ra_chunk_offset(ra_heap *, u32)
    u32 ra_chunk_index(ra_heap *, u64)
    void ra_heap_forget(ra_heap *)
    u64 ra_alloc(ra_heap *, u32 kind, u64 size)
    void ra_free(ra_heap *, u64)
    u32 ra_reclaim_empty(ra_heap *)
    int ra_block_check(ra_heap *, u64, u32 kind)
    u32 ra_blocks_in(u32)
    u32 ra_block_size[17]

    void ra_queue_init(ra_queue *, u32 log2)
    void ra_queue_init_growing(ra_queue *, u32 log2, u32 most)
    u64 ra_queue_bytes(u32 log2)
    u64 ra_ring_length(ra_queue *)
    u64 ra_queue_length(ra_heap *, ra_queue *)
    u64 ra_queue_pop(ra_heap *, ra_queue *)
    void ra_queue_free(ra_heap *, u64)
    u64 ra_ring_take(ra_queue *, u32 log2)
    int ra_ring_mend(ra_queue *, u32 log2)
    int ra_is_loop_ring(ra_heap *, u64)
    ra_waiter *ra_waiter_at(ra_heap *, u32)
    int ra_wake(ra_heap *, u32)
    void ra_event(ra_heap *, u32 kind, u64 argument)
    u32 ra_event_shift(u32 kind)
    void ra_queue_wake(ra_heap *, ra_queue *)
    void ra_enqueue(ra_heap *, u64 record)

    void ra_hint_runner(ra_heap *, u64 word)
    u64 RA_RUN_RECORD(u64 run)
    u64 ra_run_of(ra_heap *, u64 record)
    u64 ra_parent(ra_heap *, u64 run)
    void ra_follow_parent(ra_heap *, u64 parent, u64 parent_seq, u64 record, u32 gen)
    bint ra_stream_is_left(ra_heap *, u64 record)
    void ra_stream_left(ra_heap *, u64 record)
    u64 ra_record_of(u64 entry, u32 index)
    ra_entry *ra_entry_at(ra_heap *, u64)
    ra_record *ra_record_at(ra_heap *, u64)
    ra_payload *ra_payload_at(ra_heap *, u64)
    u64 ra_next_seq(ra_heap *)
    u64 ra_hold_counted(ra_heap *, u64)
    void ra_in_order()
    void ra_payload_begin(ra_heap *, u64 payload, u64 word, u64 *place)
    void ra_payload_pin(ra_heap *, u64 payload, u64 entry)
    void ra_record_begin(ra_heap *, u64 record, u64 seq, u32 gen, u32 kind, u32 kflags)
    void ra_record_publish(ra_heap *, u64 record, u32 state)
    void ra_record_abandon(ra_heap *, u64 record)
    void ra_entry_begin(ra_heap *, u64 entry, u64 seq, u32 gen, u32 format, u32 flags)
    void ra_entry_publish(ra_heap *, u64 entry, u32 state)
    void ra_entry_abandon(ra_heap *, u64 entry)
    u64 ra_hold(ra_heap *, u64)
    u64 ra_hold_alive(ra_heap *, u64)
    int ra_entry_check(ra_heap *, u64)
    int ra_queue_check(ra_heap *, u64)
    u64 ra_take_link(ra_heap *, u64)
    u32 ra_payload_refs(ra_heap *, u64 payload)
    u64 ra_payload_stream(ra_heap *, u64 payload, u64 *length)
    int ra_inside(ra_heap *, u64 offset, u64 size)
    u64 ra_block_bytes(ra_heap *, u64 offset)
    int ra_is_run(ra_heap *, u64 offset)
    u8 *ra_map(ra_heap *, u8 *place, int sharing, u64 offset, u64 size)
    u64 ra_alloc_overflow(ra_heap *, u64 size)
    u32 ra_count_warm(ra_heap *)
    u32 ra_count_overflow(ra_heap *)
    u32 ra_overflow_end(ra_heap *)
    u32 ra_chunks_used(ra_heap *)
    u64 RA_PLACES
    u32 RA_RESERVE
    u32 ra_record_returns(ra_heap *, u64)
    void ra_hold_return(ra_heap *, u64)
    void ra_unpin(ra_heap *, u64)
    void ra_release(ra_heap *, u64, u64)
    void ra_note_copy(ra_heap *, u64 entry)
    int ra_complete(ra_heap *, u64 entry, u32 state, u32 format, u32 flags, u64 payload, u64 size)
    int ra_watch(ra_heap *, u64 entry, u32 waiter)
    int ra_queue_record(ra_heap *, u64 record, u64 *seen, u64 word)
    int ra_record_finish(ra_heap *, u64 record, u32 state, int keep_args)
    int ra_has_payload(u64 word)
    int ra_keep_args(ra_heap *, u64 record)

cdef extern from "classes.h" nogil:
    u64 RA_CLASS_TABLE_BYTES
    u32 RA_CLASS_STATE(u64)
    u64 ra_class_hash(const u8 *, u64)
    au64 *ra_class_bucket(ra_heap *, u64 hash)
    u32 ra_class_find(ra_heap *, u32 first, u32 other_than, u64 hash, const u8 *, u64, u64 *hold)
    u32 ra_class_begin(ra_heap *)
    void ra_class_abandon(ra_heap *, u32)
    u32 ra_class_publish(ra_heap *, u32, const u8 *, u64, u64 *hold)
    int ra_class_close(ra_heap *, u32)
    void ra_class_reopen(ra_heap *, u32)
    int ra_class_end(ra_heap *, u32)
    int ra_record_needs_queue(ra_heap *, u64)

cdef extern from "recovery.h" nogil:
    ctypedef void (*ra_visit)(void *, u64)
    void ra_reap(ra_heap *, u32 slot)
    u32 ra_count_used(ra_heap *)
    void ra_each_record(ra_heap *, ra_visit, void *)
    void ra_each_object(ra_heap *, ra_visit, void *)
    u64 ra_spill_begin(ra_heap *, u64 entry)
    void ra_spill_end(ra_heap *, u64 entry, u32 state, u64 payload)
    int ra_forget(ra_heap *, u64 entry)
    void ra_stream_repair(ra_heap *, u64 record)
    void ra_returns_repair(ra_heap *, u64 record, u32 slot)
    u32 ra_refill(ra_heap *, u64 queue)

cdef inline ra_queue *queue_at(ra_heap *h, u64 offset) noexcept nogil:
    return <ra_queue *>(h.base + offset)

cdef inline ra_proc *proc_at(ra_heap *h, u32 slot) noexcept nogil:
    return <ra_proc *>(h.base + h.super.procs) + slot

cdef inline ra_class *class_at(ra_heap *h, u32 index) noexcept nogil:
    return <ra_class *>(h.base + h.super.classes) + index

cdef inline ra_actor *actor_at(ra_heap *h, u64 offset) noexcept nogil:
    return <ra_actor *>(h.base + offset)

cdef inline u32 generation(u64 seq) noexcept nogil:
    """A number that distinguishes the users of one block, one after the other."""
    return <u32>((seq ^ (seq >> 40) * 0x9E37) & 0xffff)

cdef extern from "lanes.h" nogil:
    ctypedef struct ra_lanes:
        u8 *base[8]
        int pagemap

    u32 RA_NO_LANE
    u32 ra_lane_take(ra_heap *, ra_lanes *, u32 index)
    int ra_lane_clean(ra_heap *, ra_lanes *, u32 index, u32 lane, u64 faults)
    void ra_lane_free(ra_lanes *, u32 index, u32 lane)
    u64 ra_faults()
    void ra_lanes_close(ra_lanes *)
    void ra_lanes_unmap(ra_lanes *)
