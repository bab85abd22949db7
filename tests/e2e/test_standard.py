"""Health and server reflection, as ordinary tools see them."""
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import proto_reflection_descriptor_database as descriptors
from grpc_reflection.v1alpha import reflection_pb2
from google.protobuf.descriptor_pool import DescriptorPool
import pytest


SERVICES = {"trien.v1.Issuance", "trien.v1.Repository", "trien.v1.Operations", "trien.v1.Signing",
            "trien.v1.Audit", "grpc.health.v1.Health"}


def test_health_check(shared):
    stub = health_pb2_grpc.HealthStub(shared.channel())
    for name in ("", "trien.v1.Issuance", "trien.v1.Repository"):
        assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status == 1
    with pytest.raises(grpc.RpcError) as e:
        stub.Check(health_pb2.HealthCheckRequest(service="none.such"), timeout=10)
    assert e.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_watch_tells_of_the_stop(engine):
    engine.start(registers=False)
    stub = health_pb2_grpc.HealthStub(engine.channel())
    changes = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=30)
    assert next(changes).status == 1
    engine.process.terminate()
    seen = []
    with pytest.raises(grpc.RpcError):
        for change in changes:
            seen.append(change.status)
    assert seen in ([2], [])    # NOT_SERVING where it came before the stream ended
    assert engine.wait_end() == 0


def test_reflection_describes_every_service(shared):
    channel = shared.channel()
    db = descriptors.ProtoReflectionDescriptorDatabase(channel)
    assert set(db.get_services()) >= SERVICES
    pool = DescriptorPool(db)
    method = pool.FindServiceByName("trien.v1.Issuance").FindMethodByName("SubmitBatch")
    assert method.input_type.fields_by_name["cases"].message_type.full_name == "trien.v1.Case"


def test_reflection_v1_answers_like_v1alpha(shared):
    channel = shared.channel()
    ask = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    requests = [reflection_pb2.ServerReflectionRequest(list_services="*"),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol="trien.v1.Case"),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Thing")]
    one, two, three = list(ask(iter(requests), timeout=10))
    assert {s.name for s in one.list_services_response.service} >= SERVICES
    assert two.file_descriptor_response.file_descriptor_proto
    assert three.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
