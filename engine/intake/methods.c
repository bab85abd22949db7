#include "intake/methods.h"

#define ISSUANCE "/trien.v1.Issuance/"
#define REPOSITORY "/trien.v1.Repository/"
#define OPERATIONS "/trien.v1.Operations/"
#define SIGNING "/trien.v1.Signing/"
#define AUDIT "/trien.v1.Audit/"
#define REFLECTION(version) "/grpc.reflection." version ".ServerReflection/ServerReflectionInfo"
#define READERS (MAY_READ | MAY_PORTAL | MAY_REGISTRY)

/* Every method: its name, who may call it, how many calls wait for it, what runs. */
const struct method methods[] = {
	{ ISSUANCE "SubmitCase", MAY_SUBMIT, 64, .run = submit_case_run, .work = submit_work,
	  .answer = submit_answer, .free = submit_batch_free },
	{ ISSUANCE "SubmitBatch", MAY_SUBMIT, 32, .run = submit_batch_run, .work = submit_work,
	  .answer = submit_answer, .free = submit_batch_free },
	{ ISSUANCE "SubmitStream", MAY_SUBMIT, 8, .begin = stream_begin, .message = stream_message,
	  .work = stream_work, .answer = stream_answer, .sent = stream_sent,
	  .closed = stream_closed, .stop = stream_stop, .free = stream_free },
	{ ISSUANCE "CertifyCopy", MAY_SUBMIT, 16, .begin = upload_call_begin,
	  .message = upload_call_message, .work = upload_call_work, .answer = upload_call_answer,
	  .stop = upload_call_stop, .tick = upload_call_tick, .on_disk = copies_on_disk,
	  .free = upload_call_free },
	{ ISSUANCE "CertifyCopies", MAY_SUBMIT, 4, .run = copies_run, .work = copies_work,
	  .answer = copies_answer, .on_disk = copies_on_disk, .free = copies_free },
	{ ISSUANCE "IssueCopy", MAY_SUBMIT, 8, .run = issuecopy_run, .work = issuecopy_work,
	  .answer = copies_answer, .on_disk = copies_on_disk, .free = copies_free },
	{ ISSUANCE "WatchResults", MAY_SUBMIT | READERS, 8, .run = watch_run,
	  .work = watch_work, .sent = watch_sent, .closed = watch_closed, .stop = watch_stop,
	  .free = watch_free },
	{ ISSUANCE "WithdrawResult", MAY_SUBMIT, 4, .work = withdraw_work, .free = operate_free },
	{ ISSUANCE "LinkHolder", MAY_SUBMIT | MAY_REGISTRY, 4, .work = link_work,
	  .free = operate_free },

	{ ISSUANCE "RevokeResult", MAY_SUBMIT | MAY_REGISTRY, 4, .work = revoke_work,
	  .free = operate_free },
	{ ISSUANCE "CorrectResult", MAY_SUBMIT | MAY_REGISTRY, 4, .work = correct_work,
	  .free = operate_free },
	{ ISSUANCE "SetVisibility", MAY_PORTAL | MAY_REGISTRY, 4, .work = visibility_work,
	  .free = operate_free },

	{ REPOSITORY "GetResult", MAY_SUBMIT | MAY_REUSE | MAY_AUDIT | READERS, 32,
	  .work = get_work },
	{ REPOSITORY "BatchGetResults", MAY_SUBMIT | MAY_REUSE | READERS, 8,
	  .work = batch_get_work },
	{ REPOSITORY "ListResults", READERS, 16, .work = list_work },
	{ REPOSITORY "DownloadResult", MAY_REUSE | READERS, 16, .work = download_work,
	  .sent = chunk_sent, .free = chunk_free },
	{ REPOSITORY "GetCase", MAY_SUBMIT | READERS, 8, .work = get_case_work },
	{ REPOSITORY "FindReusable", MAY_REUSE, 8, .work = find_reusable_work },
	{ REPOSITORY "ListReads", READERS, 8, .work = list_reads_work },
	{ REPOSITORY "DownloadObject", READERS, 4, .work = object_work, .sent = chunk_sent,
	  .free = chunk_free },

	{ REPOSITORY "ListEvents", MAY_AUDIT | READERS, 8, .work = events_work },

	{ OPERATIONS "OpenRegister", MAY_REGISTRY, 2, .work = register_open_work,
	  .free = operate_free },
	{ OPERATIONS "CloseRegister", MAY_REGISTRY, 2, .work = register_close_work,
	  .free = register_close_free },
	{ OPERATIONS "UseNumbers", MAY_REGISTRY, 2, .work = numbers_use_work,
	  .free = operate_free },
	{ OPERATIONS "VoidNumber", MAY_REGISTRY, 2, .work = number_void_work,
	  .free = number_void_free },
	{ OPERATIONS "ListRegisters", MAY_REGISTRY | MAY_AUDIT, 2, .work = register_list_work,
	  .free = operate_free },
	{ OPERATIONS "ListHeld", MAY_REGISTRY | MAY_AUDIT, 2, .work = held_list_work,
	  .free = operate_free },
	{ OPERATIONS "RetryHeld", MAY_REGISTRY, 2, .work = held_retry_work, .free = operate_free },
	{ OPERATIONS "VoidHeld", MAY_REGISTRY, 2, .work = held_void_work, .free = operate_free },
	{ OPERATIONS "GetStatus", MAY_ANY, 4, .work = status_work, .free = operate_free },

	{ AUDIT "ListRegister", MAY_REGISTRY | MAY_AUDIT, 4, .work = book_work,
	  .sent = chunk_sent, .free = book_free },
	{ AUDIT "VerifyDocument", MAY_SUBMIT | MAY_REUSE | MAY_AUDIT | MAY_SIGN | READERS, 8,
	  .work = verification_work },
	{ AUDIT "GetStatistics", MAY_READ | MAY_REGISTRY | MAY_AUDIT, 4,
	  .work = statistics_work },

	{ SIGNING "ListWaiting", MAY_SIGN, 4, .work = waiting_list_work },
	{ SIGNING "PreviewWaiting", MAY_SIGN, 4, .work = waiting_preview_work, .sent = chunk_sent,
	  .free = waiting_preview_free },
	{ SIGNING "RefuseWaiting", MAY_SIGN, 4, .work = waiting_refuse_work,
	  .free = operate_free },
	{ SIGNING "OpenSession", MAY_SIGN, 4, .work = session_open_work,
	  .free = session_open_free },
	{ SIGNING "GetSession", MAY_SIGN, 4, .work = session_get_work },
	{ SIGNING "GetManifest", MAY_SIGN, 4, .work = session_manifest_work },
	{ SIGNING "ConfirmSession", MAY_SIGN, 4, .work = session_confirm_work,
	  .free = session_confirm_free },
	{ SIGNING "WatchSession", MAY_SIGN, 4, .run = session_watch_run,
	  .work = session_watch_work, .sent = session_watch_sent, .closed = watch_closed,
	  .stop = watch_stop, .free = session_watch_free },
	{ SIGNING "CancelSession", MAY_SIGN, 4, .work = session_cancel_work },
	{ SIGNING "TakeDigests", MAY_SIGN, 8, .run = digests_take_run, .work = digests_take_work,
	  .closed = digests_take_closed, .stop = digests_take_closed, .free = digests_take_free },
	{ SIGNING "GiveSignatures", MAY_SIGN, 4, .work = signatures_give_work,
	  .free = signatures_give_free },

	{ "/grpc.health.v1.Health/Check", MAY_ANY, 4, .anonymous = true, .run = health_check_run },
	{ "/grpc.health.v1.Health/Watch", MAY_ANY, 4, .anonymous = true, .run = health_watch_run,
	  .sent = health_watch_sent, .closed = health_watch_closed, .stop = health_watch_stop,
	  .free = health_watch_free },
	{ REFLECTION("v1"), MAY_ANY, 2, .begin = reflection_begin,
	  .message = reflection_message, .sent = reflection_sent, .stop = reflection_stop },
	{ REFLECTION("v1alpha"), MAY_ANY, 2, .begin = reflection_begin,
	  .message = reflection_message, .sent = reflection_sent, .stop = reflection_stop },
};
const uint32_t methods_n = ARRAY_LEN(methods);
