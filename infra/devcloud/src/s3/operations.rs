//! Which S3 operation goes where. Knows no detail of any.

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::answers::{millis, now_ms};
use super::{Buckets, check_key, index, internal};

type Answer<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Buckets {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let name = req.input.bucket;
        // The folder first: a bucket that a row names has always a place to write to.
        tokio::fs::create_dir_all(self.folder.join(&name)).await.map_err(|e| internal(e.into()))?;
        let location = format!("/{name}");
        let created = self
            .index
            .call(move |conn| index::create_bucket(conn, &name, now_ms()))
            .await
            .map_err(internal)?;
        if !created {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.require_bucket(&req.input.bucket).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.require_bucket(&req.input.bucket).await?;
        // us-east-1 is spelled as no constraint.
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        let name = req.input.bucket;
        self.require_bucket(&name).await?;
        let folder = self.folder.join(&name);
        let emptied = self
            .index
            .call(move |conn| index::delete_bucket(conn, &name))
            .await
            .map_err(internal)?;
        if !emptied {
            return Err(s3_error!(BucketNotEmpty));
        }
        // Blobs whose deletion failed may be left; the folder then stays until it is used again.
        let _ = tokio::fs::remove_dir(folder).await;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let all = self.index.call(|conn| index::buckets(conn)).await.map_err(internal)?;
        let buckets = all
            .into_iter()
            .map(|bucket| Bucket {
                name: Some(bucket.name),
                creation_date: Some(millis(bucket.created_ms)),
                ..Bucket::default()
            })
            .collect();
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            ..ListBucketsOutput::default()
        }))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        self.list_v1(req.input).await.map(S3Response::new)
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        self.list_v2(req.input).await.map(S3Response::new)
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        check_key(&req.input.key)?;
        self.put(req).await.map(S3Response::new)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        self.get(req.input).await.map(S3Response::new)
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        self.head(req.input).await.map(S3Response::new)
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        check_key(&req.input.key)?;
        self.copy(req).await.map(S3Response::new)
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        self.require_bucket(&req.input.bucket).await?;
        self.delete(req.input.bucket, req.input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        const KEYS_MAX: usize = 1000;
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        self.require_bucket(&bucket).await?;
        if delete.objects.len() > KEYS_MAX {
            return Err(s3_error!(MalformedXML));
        }
        let mut deleted = Vec::new();
        for object in delete.objects {
            self.delete(bucket.clone(), object.key.clone()).await?;
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (delete.quiet != Some(true)).then_some(deleted),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        check_key(&req.input.key)?;
        self.start_upload(req.input).await.map(S3Response::new)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.put_part(req).await.map(S3Response::new)
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.list_parts_of(req.input).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        self.complete(req.input).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.abort(req.input).await.map(S3Response::new)
    }
}

impl Buckets {
    pub(super) async fn require_bucket(&self, name: &str) -> S3Result<()> {
        let name = name.to_owned();
        let there = self.index.call(move |conn| index::has_bucket(conn, &name)).await;
        if there.map_err(internal)? { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    async fn delete(&self, bucket: String, key: String) -> S3Result<()> {
        let freed = {
            let bucket = bucket.clone();
            self.index.call(move |conn| index::delete(conn, &bucket, &key)).await
        };
        self.forget(&bucket, freed.map_err(internal)?.into_iter().collect()).await;
        Ok(())
    }
}
